package dev.gatun.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.rope.ReRope;
import dev.gatun.rope.RopeAdvisor;
import dev.gatun.rope.RopeBasis;
import dev.gatun.rope.RopeFacts;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.Yarn;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class ContextPlanTest {
  private static ContextFlags flags(String... args) {
    ContextFlags flags = new ContextFlags();
    OptionTable table = new OptionTable();
    flags.declare(table);
    assertTrue(FastParser.parse(table, args, 0));
    return flags;
  }

  private static ContextPlan plan(int prompt, int trained, String... args) {
    return plan(prompt, OptionalInt.empty(), trained, args);
  }

  private static ContextPlan plan(int prompt, OptionalInt answer, int trained, String... args) {
    return ContextPlan.of(
        prompt,
        answer,
        trained,
        flags(args),
        (auto, tokens) ->
            RopeAdvisor.choose(
                RopeFacts.plain(new RopeBasis(64, 195, trained)), tokens, auto.fast(), true));
  }

  @Test
  void shortText_keepsTheTrainedContextAndItsPositions() {
    ContextPlan plan = plan(100, 256);
    assertEquals(256, plan.options().contextTokens().getAsInt());
    assertEquals(RopeScaling.modelDefault(), plan.options().ropeScaling());
    assertTrue(plan.note().isEmpty());
  }

  @Test
  void longText_getsTwoBandsAndTheSmallestWholeMultipleOfTheTrainedLength() {
    ContextPlan plan = plan(1000, 256);
    assertEquals(new ReRope(64, true), plan.options().ropeScaling());
    assertEquals(1280, plan.options().contextTokens().getAsInt());
    assertTrue(plan.note().get().contains("using ReRoPE"), plan.note().get());
  }

  @Test
  void longText_inAHurry_getsYarnWithTheSmallestWholeFactor() {
    for (String[] args : new String[][] {{"--rope", "auto-fast"}, {"-fa", "off"}}) {
      ContextPlan plan = plan(1000, 256, args);
      assertEquals(RopeScaling.yarn(5), plan.options().ropeScaling());
      assertTrue(plan.note().get().contains("factor 5"), plan.note().get());
    }
  }

  @Test
  void longAnswer_countsAsText() {
    ContextPlan plan = plan(10, OptionalInt.of(1000), 256, "--rope", "yarn");
    assertEquals(4, ((Yarn) plan.options().ropeScaling()).factor());
  }

  @Test
  void largeTrainedContext_isNotAllocatedForAShortText() {
    assertEquals(4196, plan(100, 131_072).options().contextTokens().getAsInt());
  }

  @Test
  void askedContext_beyondTheTrainedOne_isStretched() {
    ContextPlan plan = plan(10, 256, "-c", "1000", "--rope", "yarn");
    assertEquals(1000, plan.options().contextTokens().getAsInt());
    assertEquals(4, ((Yarn) plan.options().ropeScaling()).factor());
  }

  @Test
  void askedContext_thatIsTooSmall_saysTheNumbers() {
    CliException e = assertThrows(CliException.class, () -> plan(1500, 256, "-c", "1000"));
    assertEquals(ExitCode.SPACE, e.exitCode());
    assertTrue(
        e.getMessage().contains("1,500") && e.getMessage().contains("1,000"), e.getMessage());
  }

  @Test
  void ropeFlags_winOverTheAutomaticChoice() {
    assertEquals(
        RopeScaling.none(), plan(1000, 256, "--rope-scaling", "none").options().ropeScaling());
    assertEquals(
        RopeScaling.linear(8),
        plan(1000, 256, "--rope-scaling", "linear", "--rope-scale", "8").options().ropeScaling());
    assertEquals(
        RopeScaling.linear(5), plan(1000, 256, "--rope-scaling", "linear").options().ropeScaling());
    assertEquals(
        new RopeScaling.Frequency(1e6f, 0),
        plan(1000, 256, "--rope-freq-base", "1000000").options().ropeScaling());
    assertEquals(
        RopeScaling.yarn(8),
        plan(1000, 256, "--rope-scaling", "yarn", "--rope-freq-scale", "0.125")
            .options()
            .ropeScaling());
  }

  @Test
  void ropeSpec_decides_andALeftOutFactorFollowsTheLength() {
    assertEquals(
        RopeScaling.linear(5), plan(1000, 256, "--rope", "linear").options().ropeScaling());
    assertTrue(plan(1000, 256, "--rope", "linear").note().get().contains("linear scaling"));
    ContextPlan fixed = plan(1000, 256, "--rope", "ntk:8");
    assertEquals(RopeScaling.ntkAware(8), fixed.options().ropeScaling());
    assertTrue(fixed.note().isEmpty());
    assertEquals(RopeScaling.rerope(), plan(1000, 256, "--rope", "rerope").options().ropeScaling());
    assertEquals(RopeScaling.none(), plan(1000, 256, "--rope", "none").options().ropeScaling());
    assertEquals(RopeScaling.yarn(8), plan(100, 256, "--rope", "yarn:8").options().ropeScaling());
    for (String open : new String[] {"auto", "auto-fast", "yarn"}) {
      assertEquals(
          RopeScaling.modelDefault(), plan(100, 256, "--rope", open).options().ropeScaling(), open);
      assertEquals(
          open.equals("auto") ? new ReRope(64, true) : RopeScaling.yarn(5),
          plan(1000, 256, "--rope", open).options().ropeScaling(),
          open);
    }
  }

  @Test
  void automaticChoice_saysWhy() {
    String note = plan(1000, 256).note().get();
    assertTrue(note.endsWith("at the price of a slower attention)"), note);
    String fast = plan(1000, 256, "--rope", "auto-fast").note().get();
    assertTrue(fast.contains("(YaRN loses the least of the methods that cost no time"), fast);
  }

  @Test
  void ropeSpec_andLlamaCppsFlags_doNotGoTogether() {
    for (String flag : new String[] {"--rope-scale", "--yarn-orig-ctx"}) {
      for (String[] args :
          new String[][] {{"--rope", "auto", flag, "8"}, {flag, "8", "--rope", "auto"}}) {
        CliException e = assertThrows(CliException.class, () -> flags(args));
        assertEquals(ExitCode.USAGE, e.exitCode());
        assertTrue(e.getMessage().contains(flag), e.getMessage());
      }
    }
  }

  @Test
  void ropeSpec_thatIsNone_listsWhatThereIs() {
    CliException e = assertThrows(CliException.class, () -> flags("--rope", "magic"));
    assertEquals(ExitCode.USAGE, e.exitCode());
    assertTrue(e.getMessage().contains("auto-fast"), e.getMessage());
  }

  @Test
  void yarnFlags_shapeTheAutomaticChoice() {
    Yarn yarn =
        (Yarn)
            plan(1000, 256, "--yarn-beta-fast", "16", "--yarn-beta-slow", "2")
                .options()
                .ropeScaling();
    assertEquals(5, yarn.factor());
    assertEquals(16, yarn.betaFast());
    assertEquals(2, yarn.betaSlow());
  }

  @Test
  void modelWithoutPositions_hasNoLimit() {
    ContextPlan plan = plan(1_000_000, 0);
    assertEquals(RopeScaling.modelDefault(), plan.options().ropeScaling());
  }
}
