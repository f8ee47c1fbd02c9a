package dev.gatun.kv;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.BitSet;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class EvictionSelectionTest {
  private static EvictionOptions bare(int budget) {
    return EvictionOptions.tokens(budget).withSinks(0).withRecent(1);
  }

  private static int[] kept(EvictionView view, float[] scores, Spans spans, EvictionOptions how) {
    return EvictionSelection.select(view, scores, spans, how).stream().toArray();
  }

  @Test
  void select_keepsTheHighest_andTheLast() {
    float[] scores = {0.1f, 0.9f, 0.2f, 0.8f, 0.3f};
    assertArrayEquals(new int[] {1, 3, 4}, kept(FakeView.of(5), scores, Spans.none(), bare(3)));
  }

  @Test
  void select_takesTheEarlierOfEqualScores() {
    assertArrayEquals(
        new int[] {0, 1, 4}, kept(FakeView.of(5), new float[5], Spans.none(), bare(3)));
  }

  @Test
  void select_keepsSinksRecentAndPins_whateverTheScores() {
    float[] scores = new float[20];
    scores[9] = 1;
    EvictionOptions how =
        EvictionOptions.tokens(9)
            .withSinks(2)
            .withRecent(3)
            .withPinned(104, 106)
            .withPinned(115, 116);
    FakeView view = FakeView.of(20);
    int[] positions = new int[20];
    for (int i = 0; i < 20; i++) {
      positions[i] = 100 + i;
    }
    assertArrayEquals(
        new int[] {0, 1, 4, 5, 9, 15, 17, 18, 19},
        kept(view.withPositions(positions), scores, Spans.none(), how));
  }

  @Test
  void select_pinsArePositions_alsoAfterGaps() {
    FakeView view = FakeView.of(6).withPositions(0, 1, 50, 51, 90, 91);
    EvictionOptions how = bare(2).withPinned(50, 51);
    assertArrayEquals(new int[] {2, 5}, kept(view, new float[6], Spans.none(), how));
  }

  @Test
  void select_refusesPins_beyondTheBudget() {
    EvictionOptions how = bare(3).withPinned(0, 3);
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> EvictionSelection.select(FakeView.of(9), new float[9], Spans.none(), how));
    assertTrue(e.getMessage().contains("4 tokens and the budget is 3"), e.getMessage());
  }

  @Test
  void select_refusesAWrongNumberOfScores() {
    assertThrows(
        IllegalArgumentException.class,
        () -> EvictionSelection.select(FakeView.of(9), new float[8], Spans.none(), bare(3)));
  }

  @Test
  void select_spansEndWithTheSentence() {
    FakeView view =
        FakeView.of("It", " rained", ".", " Mira", " lives", " in", " Bath", ".", " So", " what");
    float[] scores = new float[10];
    scores[3] = 1;
    assertArrayEquals(
        new int[] {3, 4, 5, 6, 7, 9}, kept(view, scores, Spans.around(5, 9), bare(6)));
    assertArrayEquals(new int[] {1, 2, 3, 4, 5, 9}, kept(view, scores, Spans.fixed(2, 2), bare(6)));
    assertArrayEquals(new int[] {3, 4, 9}, kept(view, scores, Spans.sentences(), bare(3)));
  }

  @Test
  void select_closingQuoteBelongsToItsSentence() {
    FakeView view = FakeView.of("He", " said", ".", "\"", " Mira", " came", ".");
    float[] scores = {0, 0, 0, 0, 1, 0, 0};
    assertArrayEquals(new int[] {4, 5, 6}, kept(view, scores, Spans.sentences(), bare(3)));
    float[] first = {1, 0, 0, 0, 0, 0, 0};
    assertArrayEquals(new int[] {0, 1, 2, 3, 6}, kept(view, first, Spans.sentences(), bare(5)));
  }

  @Test
  void select_meansOfSentences_notTheirBestToken() {
    FakeView view = FakeView.of("a", " b", " c", ".", " d", " e", ".", " f");
    float[] scores = {5, 0, 0, 0, 2, 2, 2, 0};
    assertArrayEquals(new int[] {4, 5, 6, 7}, kept(view, scores, Spans.sentenceMeans(), bare(4)));
    assertArrayEquals(new int[] {0, 1, 2, 7}, kept(view, scores, Spans.sentences(), bare(4)));
  }

  @Test
  void select_keepsExactlyTheBudget_forRandomScores() {
    SplittableRandom random = new SplittableRandom(3);
    Spans[] spans = {
      Spans.none(), Spans.around(3, 7), Spans.fixed(4, 4), Spans.sentences(), Spans.sentenceMeans()
    };
    String[] pieces = {" a", " b", ".", "\"", "", "\n", "!"};
    for (int round = 0; round < 500; round++) {
      int n = 1 + random.nextInt(80);
      String[] texts = new String[n];
      float[] scores = new float[n];
      for (int i = 0; i < n; i++) {
        texts[i] = pieces[random.nextInt(pieces.length)];
        scores[i] = random.nextInt(10) == 0 ? Float.NaN : random.nextInt(20);
      }
      int budget = 1 + random.nextInt(n);
      int recent = 1 + random.nextInt(Math.max(1, budget / 2));
      EvictionOptions how =
          EvictionOptions.tokens(budget).withSinks((budget - recent) / 2).withRecent(recent);
      BitSet keep =
          EvictionSelection.select(FakeView.of(texts), scores, spans[round % spans.length], how);
      assertEquals(budget, keep.cardinality());
      assertTrue(keep.get(n - 1) && keep.length() <= n);
    }
  }

  @Test
  void options_refuseSenselessNumbers() {
    assertThrows(IllegalArgumentException.class, () -> EvictionOptions.tokens(0));
    assertThrows(IllegalArgumentException.class, () -> EvictionOptions.share(0));
    assertThrows(IllegalArgumentException.class, () -> EvictionOptions.share(1.01));
    assertThrows(IllegalArgumentException.class, () -> EvictionOptions.share(0.5).withRecent(0));
    assertThrows(
        IllegalArgumentException.class, () -> EvictionOptions.share(0.5).withQuestionTokens(0));
    assertEquals(49, EvictionOptions.share(0.2).budgetOf(245));
    assertEquals(7, EvictionOptions.tokens(9).budgetOf(7));
  }
}
