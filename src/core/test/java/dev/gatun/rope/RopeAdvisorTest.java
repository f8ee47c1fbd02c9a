package dev.gatun.rope;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.TestModels;
import dev.gatun.error.ContextCreateException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.gguf.GgufFile;
import dev.gatun.rope.RopeFacts.Trait;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class RopeAdvisorTest {
  private static final RopeFacts PLAIN = RopeFacts.plain(new RopeBasis(128, 10_000, 4096));

  private static RopeChoice choice(RopeFacts facts, int tokens, boolean fast, boolean cpuOnly) {
    RopeChoice choice = RopeAdvisor.choose(facts, tokens, fast, cpuOnly);
    RopeChecks.requireApplicable(choice.scaling(), facts);
    assertTrue(!choice.reasons().isEmpty());
    return choice;
  }

  @Test
  void tinyModel() {
    RopeFacts tiny = RopeFacts.of(GgufFile.open(TestModels.tiny()));
    assertEquals(RopeScaling.modelDefault(), choice(tiny, 256, false, true).scaling());
    assertEquals(RopeScaling.yarn(1.5), choice(tiny, 384, false, true).scaling());
    assertEquals(new ReRope(64, true), choice(tiny, 512, false, true).scaling());
    assertEquals(new ReRope(64, true), choice(tiny, 1024, false, true).scaling());
    assertEquals(new ReRope(64, true), choice(tiny, 4096, false, true).scaling());
    assertEquals(16, choice(tiny, 4096, false, true).ratio());
  }

  @Test
  void aGpuOrHaste_meansYarn_andSaysWhatItCosts() {
    RopeChoice gpu = choice(PLAIN, 32_768, false, false);
    assertEquals(RopeScaling.yarn(8), gpu.scaling());
    assertTrue(gpu.reasons().toString().contains("CPU alone"), gpu.reasons().toString());
    RopeChoice fast = choice(PLAIN, 32_768, true, true);
    assertEquals(RopeScaling.yarn(8), fast.scaling());
    assertTrue(fast.reasons().toString().contains("slower"), fast.reasons().toString());
  }

  @ParameterizedTest
  @EnumSource(Trait.class)
  void everyTrait_hasAChoiceThatTheChecksAccept(Trait trait) {
    RopeFacts facts = PLAIN.withTraits(trait);
    for (boolean fast : new boolean[] {false, true}) {
      for (boolean cpuOnly : new boolean[] {false, true}) {
        for (int tokens : new int[] {1, 4096, 4097, 8192, 100_000}) {
          choice(facts, tokens, fast, cpuOnly);
        }
      }
    }
  }

  @Test
  void slidingWindow_getsYarnAndACaveat() {
    RopeChoice choice = choice(PLAIN.withTraits(Trait.SLIDING_WINDOW), 32_768, false, true);
    assertEquals(RopeScaling.yarn(8), choice.scaling());
    assertTrue(choice.reasons().toString().contains("sliding window"));
  }

  @Test
  void whatScalingCannotReach_staysAsItIs() {
    for (Trait trait : List.of(Trait.NO_ROPE, Trait.SEVERAL_AXES, Trait.FULL_LAYERS_UNROTATED)) {
      assertEquals(
          RopeScaling.modelDefault(),
          choice(PLAIN.withTraits(trait), 32_768, false, true).scaling());
    }
  }

  @Test
  void scaledFiles_areStretchedByTheirOwnMethodOrLeftAlone() {
    // The file's factor of 4 from 1,024 tokens gave 4,096; 8,192 are 8 times the original.
    assertEquals(
        RopeScaling.yarn(8).withOriginalTokens(1024),
        choice(PLAIN.withScaling("yarn", 4, 1024), 8192, true, false).scaling());
    assertEquals(
        new RopeScaling.Frequency(0, 1 / 8.0),
        choice(PLAIN.withScaling("linear", 4, 0), 8192, true, false).scaling());
    RopeChoice table = choice(PLAIN.withTraits(Trait.FREQUENCY_TENSOR), 8192, true, false);
    assertEquals(RopeScaling.modelDefault(), table.scaling());
    assertTrue(table.reasons().toString().contains("4,096"), table.reasons().toString());
    // Two bands keep the file's frequencies, whatever they are.
    assertInstanceOf(
        ReRope.class,
        choice(PLAIN.withTraits(Trait.FREQUENCY_TENSOR), 8192, false, true).scaling());
  }

  @Test
  void checks_refuseToScaleTwice_unlessTheValueReplacesTheFiles() {
    for (RopeFacts facts :
        List.of(
            PLAIN.withScaling("yarn", 4, 1024),
            PLAIN.withScaling("linear", 4, 0),
            PLAIN.withTraits(Trait.FREQUENCY_TENSOR),
            PLAIN.withTraits(Trait.LONGROPE_TENSORS))) {
      for (RopeScaling scaling :
          List.of(
              RopeScaling.yarn(2),
              RopeScaling.linear(2),
              RopeScaling.ntkAware(2),
              RopeScaling.ntkByParts(2),
              RopeScaling.llama3(2),
              RopeScaling.dynamic())) {
        ContextCreateException e =
            assertThrows(
                ContextCreateException.class, () -> RopeChecks.requireApplicable(scaling, facts));
        assertTrue(e.getMessage().contains("twice"), e.getMessage());
      }
      for (RopeScaling scaling :
          List.of(
              RopeScaling.yarn(2).withOriginalTokens(1024),
              RopeScaling.ntkByParts(2).withOriginalTokens(1024),
              RopeScaling.llama3(2).withOriginalTokens(1024),
              new FactorTable(Collections.nCopies(64, 2.0), 1),
              RopeScaling.rerope(),
              RopeScaling.none(),
              RopeScaling.modelDefault(),
              RopeScaling.auto(),
              new RopeScaling.Frequency(0, 0.25))) {
        RopeChecks.requireApplicable(scaling, facts);
      }
    }
  }

  @Test
  void checks_refuseTablesAndWindowsThatDoNotFit() {
    for (RopeScaling scaling :
        List.of(FactorTable.of(1, 2, 3), new ReRope(4096, true), new DualChunk(5000, 64, true))) {
      assertThrows(
          ContextCreateException.class, () -> RopeChecks.requireApplicable(scaling, PLAIN));
    }
  }

  @Test
  void checks_refuseScalingWithoutRopeAndOnSeveralAxes() {
    for (RopeScaling scaling :
        List.of(
            RopeScaling.linear(2),
            RopeScaling.yarn(2),
            RopeScaling.rerope(),
            RopeScaling.dynamic())) {
      for (Trait trait : List.of(Trait.NO_ROPE, Trait.SEVERAL_AXES, Trait.FULL_LAYERS_UNROTATED)) {
        assertThrows(
            UnsupportedOperationForModelException.class,
            () -> RopeChecks.requireApplicable(scaling, PLAIN.withTraits(trait)));
      }
    }
    RopeFacts without = PLAIN.withTraits(Trait.NO_ROPE);
    assertThrows(
        UnsupportedOperationForModelException.class,
        () -> RopeChecks.requireApplicable(new RopeScaling.Frequency(1e6, 0), without));
    RopeChecks.requireApplicable(RopeScaling.none(), without);
  }

  @Test
  void checks_refuseTwoBandsWhereAttentionIsNotPlain() {
    for (Trait trait :
        List.of(
            Trait.SLIDING_WINDOW,
            Trait.SOME_LAYERS_UNROTATED,
            Trait.RECURRENT,
            Trait.LATENT_ATTENTION,
            Trait.NOT_CAUSAL)) {
      RopeFacts facts = PLAIN.withTraits(trait);
      UnsupportedOperationForModelException e =
          assertThrows(
              UnsupportedOperationForModelException.class,
              () -> RopeChecks.requireApplicable(RopeScaling.selfExtend(), facts));
      assertTrue(e.getMessage().contains(trait.words()), e.getMessage());
      RopeChecks.requireApplicable(RopeScaling.yarn(2), facts);
    }
  }
}
