package dev.gatun.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class WindowPlanTest {
  @Test
  void secondHalf_isCutAsLlamaPerplexityCuts() {
    WindowPlan plan = WindowPlan.of(1027, PerplexityOptions.of(256));
    assertEquals(new WindowPlan(256, 128, 256, 4), plan);
    assertEquals(768, plan.start(3));
    assertEquals(127, plan.scored()); // n_ctx - n_ctx / 2 - 1
    assertEquals(4, WindowPlan.of(1024, PerplexityOptions.of(256)).count());
    assertEquals(3, WindowPlan.of(1023, PerplexityOptions.of(256)).count());
    assertEquals(3, WindowPlan.of(7, PerplexityOptions.of(7)).scored());
  }

  @Test
  void wholeWindow_scoresAllButTheFirstTwo() {
    WindowPlan plan =
        WindowPlan.of(600, PerplexityOptions.of(256).withScoring(Scoring.wholeWindow()));
    assertEquals(254, plan.scored());
    assertEquals(2, plan.count());
  }

  @Test
  void sliding_scoresEachTokenOnce_andEndsInsideTheText() {
    int tokens = 1000;
    for (int stride : new int[] {1, 64, 100, 255}) {
      WindowPlan plan =
          WindowPlan.of(tokens, PerplexityOptions.of(256).withScoring(Scoring.sliding(stride)));
      boolean[] scored = new boolean[tokens];
      for (int i = 0; i < plan.count(); i++) {
        assertEquals(stride, plan.scored());
        for (int j = plan.first(); j < plan.length() - 1; j++) {
          int token = plan.start(i) + j + 1;
          assertTrue(!scored[token], "token " + token + " twice");
          scored[token] = true;
        }
      }
      int last = plan.start(plan.count() - 1) + plan.length();
      assertTrue(last <= tokens && last + stride > tokens, "ends at " + last);
    }
  }

  @Test
  void windowsAndBudget_limitTheNumber_butOneIsAlwaysMeasured() {
    PerplexityOptions options = PerplexityOptions.of(256);
    assertEquals(2, WindowPlan.of(5000, options.withWindows(2)).count());
    assertEquals(3, WindowPlan.of(5000, options.withTokenBudget(1000)).count());
    assertEquals(1, WindowPlan.of(5000, options.withTokenBudget(1)).count());
    assertEquals(19, WindowPlan.of(5000, options.withWindows(100)).count());
  }

  @Test
  void badNumbers_areRefusedWithTheNumber() {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> WindowPlan.of(255, PerplexityOptions.of(256)));
    assertTrue(e.getMessage().contains("255 tokens"), e.getMessage());
    PerplexityOptions overlapping = PerplexityOptions.of(256).withScoring(Scoring.sliding(256));
    assertThrows(IllegalArgumentException.class, () -> WindowPlan.of(1000, overlapping));
    assertThrows(IllegalArgumentException.class, () -> PerplexityOptions.of(3));
    assertThrows(IllegalArgumentException.class, () -> Scoring.sliding(0));
    assertThrows(IllegalArgumentException.class, () -> PerplexityOptions.of(8).withBins(9));
    assertThrows(IllegalArgumentException.class, () -> PerplexityOptions.of(8).withWindows(0));
  }
}
