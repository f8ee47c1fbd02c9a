package dev.gatun;

import static dev.gatun.Differences.assertNear;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.gguf.SyntheticModel;
import dev.gatun.internal.RopeParameters;
import dev.gatun.rope.FactorTable;
import dev.gatun.rope.Linear;
import dev.gatun.rope.NtkAware;
import dev.gatun.rope.RopeBasis;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.StaticScaling;
import dev.gatun.rope.Temperature;
import dev.gatun.rope.Yarn;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Gatun's tables of frequencies against upstream's own flags, where upstream is right. */
class UpstreamScalingTest {
  private static final int NONE = 0;
  private static final int LINEAR = 1;
  private static final int YARN = 2;
  private static final int LENGTH = 192;
  private static final RopeBasis BASIS = new RopeBasis(64, 195, ReferenceFiles.TRAINED);
  private static final int[] TOKENS = ReferenceFiles.tokens(LENGTH, 6);

  @TempDir static Path folder;
  private static final List<LlamaModel> MODELS = new ArrayList<>();

  @BeforeAll
  static void load() {
    for (SyntheticModel.Family family :
        List.of(SyntheticModel.Family.LLAMA, SyntheticModel.Family.QWEN2)) {
      MODELS.add(LlamaModel.load(ReferenceFiles.write(folder, family, 1)));
    }
  }

  @AfterAll
  static void close() {
    MODELS.forEach(LlamaModel::close);
  }

  private static double[][] logits(
      LlamaModel model, RopeParameters rope, FlashAttention attention) {
    List<RawContext.Entry> entries = new ArrayList<>();
    for (int i = 0; i < LENGTH; i++) {
      entries.add(new RawContext.Entry(TOKENS[i], i, 0));
    }
    try (RawContext context = new RawContext(model, 256, 1, false, attention, rope)) {
      return context.decode(entries);
    }
  }

  private static RopeParameters flags(int type, double base, double scale) {
    return new RopeParameters(
        type, (float) base, (float) scale, -1, -1, -1, -1, 0, Optional.empty());
  }

  private static RopeParameters flags(Yarn yarn, double betaFast, double betaSlow) {
    return new RopeParameters(
        YARN,
        0,
        (float) (1 / yarn.factor()),
        (float) yarn.extrapolationFactor(),
        -1,
        (float) betaFast,
        (float) betaSlow,
        yarn.originalTokens() == 0 ? ReferenceFiles.TRAINED : yarn.originalTokens(),
        Optional.empty());
  }

  /** The same scaling as a table, whatever Gatun would hand down for it. */
  private static void assertTableEquals(StaticScaling scaling, RopeParameters flags) {
    for (LlamaModel model : MODELS) {
      RopeParameters table =
          RawContext.parameters(model, FactorTable.of(scaling.rotation(BASIS)), 256);
      assertTrue(table.hook().isPresent());
      double[][] expected = logits(model, flags, FlashAttention.OFF);
      assertNear(
          scaling + " by upstream", expected, logits(model, table, FlashAttention.OFF), 1e-4);
      assertNear(
          scaling + " by upstream, as Gatun hands it down",
          expected,
          logits(model, RawContext.parameters(model, scaling, 256), FlashAttention.OFF),
          1e-4);
    }
  }

  @Test
  void linear() {
    assertTableEquals(new Linear(4), flags(LINEAR, 0, 0.25));
    assertTableEquals(new Linear(2.5), flags(LINEAR, 0, 0.4));
  }

  @Test
  void ntkAware() {
    for (double factor : new double[] {1, 2, 4, 16}) {
      NtkAware ntk = new NtkAware(factor);
      assertTableEquals(ntk, flags(NONE, 195 * Math.pow(factor, 64 / 62.0), 1));
    }
  }

  @Test
  void yarn() {
    for (double factor : new double[] {2, 4, 8}) {
      Yarn yarn = RopeScaling.yarn(factor);
      assertTableEquals(yarn, flags(yarn, 32, 1));
      assertTableEquals(yarn.withBetas(7.3, 1), flags(yarn, 7.3, 1));
      assertTableEquals(yarn.withBetas(4, 0.5), flags(yarn, 4, 0.5));
    }
    Yarn shorter = RopeScaling.yarn(4).withOriginalTokens(32);
    assertTableEquals(shorter, flags(shorter, 32, 1));
    Yarn mixed = RopeScaling.yarn(4).withExtrapolationFactor(0.5);
    assertTableEquals(mixed, flags(mixed, 32, 1));
  }

  @Test
  void upstreamsKernelOfFlashAttention_getsTheSameFrequencies() {
    Yarn yarn = RopeScaling.yarn(4).withBetas(7.3, 1);
    for (LlamaModel model : MODELS) {
      assertNear(
          yarn + " by upstream, flash attention",
          logits(model, flags(yarn, 7.3, 1), FlashAttention.ON),
          logits(model, RawContext.parameters(model, yarn, 256), FlashAttention.ON),
          2e-3);
    }
  }

  @Test
  void upstreamCannotSayTheTemperature() {
    // Why YaRN is a table: yarn_attn_factor is overwritten whenever the mix is on.
    Yarn yarn = RopeScaling.yarn(4).withBetas(7.3, 1);
    RopeParameters plain = flags(yarn, 7.3, 1);
    RopeParameters cold =
        new RopeParameters(YARN, 0, 0.25f, 1, 0.5f, 7.3f, 1, 64, Optional.empty());
    LlamaModel model = MODELS.getFirst();
    double[][] expected = logits(model, plain, FlashAttention.OFF);
    assertNear(
        "upstream with and without yarn_attn_factor",
        expected,
        logits(model, cold, FlashAttention.OFF),
        0);
    RopeParameters off = RawContext.parameters(model, yarn.withTemperature(Temperature.off()), 256);
    assertTrue(Differences.max(expected, logits(model, off, FlashAttention.OFF)) > 0.1);
  }
}
