package dev.gatun.rope;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.OptionalInt;
import java.util.function.DoubleFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RopeValidationTest {
  private static void refused(Executable call) {
    String message = assertThrows(IllegalArgumentException.class, call).getMessage();
    assertTrue(message.length() > 20, message);
  }

  @ParameterizedTest
  @ValueSource(
      doubles = {0, 0.999, -1, Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY})
  void factors_areFiniteAndAtLeastOne(double factor) {
    List<DoubleFunction<RopeScaling>> all =
        List.of(
            RopeScaling::linear,
            RopeScaling::ntkAware,
            RopeScaling::ntkFixed,
            RopeScaling::ntkByParts,
            RopeScaling::yarn,
            RopeScaling::llama3,
            DynamicNtk::vllm,
            f -> DynamicNtk.huggingFace(f, 100),
            f -> new LongRope(List.of(1.0), List.of(1.0), f, 0, 1),
            // 0 is the choice for the context.
            f -> RopeScaling.leakyReRope(f == 0 ? -0.5 : f));
    for (DoubleFunction<RopeScaling> make : all) {
      refused(() -> make.apply(factor));
    }
  }

  @Test
  void numbersOutOfRange_areRefused() {
    Yarn yarn = RopeScaling.yarn(2);
    refused(() -> yarn.withBetas(1, 1));
    refused(() -> yarn.withBetas(1, 2));
    refused(() -> yarn.withBetas(Double.POSITIVE_INFINITY, 1));
    refused(() -> yarn.withBetas(2, -1));
    refused(() -> yarn.withOriginalTokens(-1));
    refused(() -> yarn.withExtrapolationFactor(Double.NaN));
    refused(() -> yarn.withExtrapolationFactor(1.1));
    refused(() -> yarn.withExtrapolationFactor(-0.1));
    refused(() -> new Temperature.Fixed(0));
    refused(() -> new Temperature.Standard(Double.NaN));
    refused(() -> new Temperature.DeepSeek(1, -1));
    NtkByParts parts = RopeScaling.ntkByParts(2);
    refused(() -> parts.withOriginalTokens(-1));
    refused(() -> parts.withTruncate(false).withRamp(NtkByParts.Ramp.PAPER));
    refused(() -> new Llama3(8, 4, 4, 0));
    refused(() -> new Llama3(8, 0, 4, 0));
    refused(() -> new Llama3(8, 1, Double.NaN, 0));
    refused(() -> new DynamicNtk(DynamicNtk.Form.PAPER, 2, 100));
    refused(() -> new DynamicNtk(DynamicNtk.Form.VLLM, 2, 100));
    refused(() -> DynamicNtk.paper(0));
    refused(() -> FactorTable.of());
    refused(() -> FactorTable.of(1, 0));
    refused(() -> FactorTable.of(1, Double.NaN));
    refused(() -> new FactorTable(List.of(1.0), 0));
    refused(() -> new LongRope(List.of(1.0), List.of(1.0, 2.0), 2, 0, 1));
    refused(() -> new LongRope(List.of(1.0), List.of(1.0), 2, 0, -1));
    refused(() -> new RopeScaling.Frequency(-1, 1));
    refused(() -> new Auto(OptionalInt.of(0), false));
    refused(() -> new RopeBasis(63, 10_000, 256));
    refused(() -> new RopeBasis(0, 10_000, 256));
    refused(() -> new RopeBasis(64, 1, 256));
    refused(() -> new RopeBasis(64, Double.NaN, 256));
    refused(() -> new RopeBasis(64, 10_000, 0));
    refused(() -> new RopeBasis(64, 10_000, 256).withBetas(Double.NaN, 1));
  }

  @Test
  void twoBandNumbers_areCheckedAgainstTheModel() {
    refused(() -> new ReRope(-1, true));
    refused(() -> new SelfExtend(-1, 64, true));
    refused(() -> new DualChunk(-1, 0, true));
    refused(() -> new ReRope(256, true).resolved(256, 1024));
    refused(() -> new SelfExtend(4, 300, true).resolved(256, 1024));
    refused(() -> new DualChunk(300, 64, true).resolved(256, 1024));
    refused(() -> new DualChunk(64, 64, true).resolved(256, 1024));
    refused(() -> RopeScaling.rerope().resolved(0, 1024));
    refused(() -> RopeScaling.rerope().resolved(256, 0));
    refused(() -> TwoBand.logNFactor(5, 1));
  }

  @Test
  void descriptions_nameTheMethodAndItsNumbers() {
    assertEquals("YaRN with factor 8", RopeScaling.yarn(8).describe());
    assertEquals("YaRN with factor 1.523", RopeScaling.yarn(1.5234).describe());
    assertEquals("ReRoPE, log-n queries", RopeScaling.rerope().describe());
    assertEquals("ReRoPE, window 64", new ReRope(64, false).describe());
    assertFalse(RopeScaling.dynamic().describe().isEmpty());
  }
}
