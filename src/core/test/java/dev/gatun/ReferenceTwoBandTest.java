package dev.gatun;

import static dev.gatun.Differences.assertNear;
import static dev.gatun.Differences.evaluate;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.ReferenceModel.Positions;
import dev.gatun.gguf.SyntheticModel;
import dev.gatun.kv.KvCacheType;
import dev.gatun.rope.DualChunk;
import dev.gatun.rope.Dynamic;
import dev.gatun.rope.LeakyReRope;
import dev.gatun.rope.ReRope;
import dev.gatun.rope.RopeBasis;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.Rotation;
import dev.gatun.rope.SelfExtend;
import dev.gatun.rope.TwoBand;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The logits of a context under every two-band scaling, against {@link ReferenceModel}.
 *
 * <p>Keys and values in F32, which Gatun's kernel reads as they are.
 */
class ReferenceTwoBandTest {
  private static final int LENGTH = 4 * ReferenceFiles.TRAINED;
  private static final int[] TOKENS = ReferenceFiles.tokens(LENGTH, 2);

  private static final Map<String, LlamaModel> MODELS = new LinkedHashMap<>();
  private static final Map<String, ReferenceModel> REFERENCES = new LinkedHashMap<>();

  @TempDir static Path folder;

  @BeforeAll
  static void load() {
    add("llama", ReferenceFiles.write(folder, SyntheticModel.Family.LLAMA, 1));
    add("qwen2", ReferenceFiles.write(folder, SyntheticModel.Family.QWEN2, 1));
    add("llama, 2 layers", ReferenceFiles.write(folder, SyntheticModel.Family.LLAMA, 2));
    // Heads that are no multiple of the kernel's width, and one key head for all.
    add("heads of 40", ReferenceFiles.write(folder, SyntheticModel.Family.LLAMA, 1, 160, 4, 1));
    add("heads of 96", ReferenceFiles.write(folder, SyntheticModel.Family.QWEN2, 1, 192, 2, 2));
  }

  private static void add(String name, Path path) {
    MODELS.put(name, LlamaModel.load(path));
    REFERENCES.put(name, new ReferenceModel(path));
  }

  @AfterAll
  static void close() {
    MODELS.values().forEach(LlamaModel::close);
  }

  private static ContextOptions options(RopeScaling scaling) {
    return ContextOptions.defaults()
        .withContextTokens(LENGTH)
        .withThreads(1)
        .withBatchThreads(1)
        .withKeyType(KvCacheType.F32)
        .withValueType(KvCacheType.F32)
        .withRopeScaling(scaling);
  }

  static Stream<TwoBand> bands() {
    return Stream.<TwoBand>of(
            new SelfExtend(4, 16, false),
            new SelfExtend(7, 33, false),
            new ReRope(16, false),
            new ReRope(63, false),
            new LeakyReRope(4, 16, false),
            new LeakyReRope(5.3, 21, false),
            new DualChunk(48, 16, false),
            new DualChunk(64, 37, false))
        .flatMap(bands -> Stream.of(bands, bands.withLogN(true)));
  }

  private static double tolerance(String model) {
    return model.contains("2 layers") ? 2e-4 : 1e-4;
  }

  private static double[][] reference(String model, TwoBand bands, int... tokens) {
    ReferenceModel reference = REFERENCES.get(model);
    return reference.text(Positions.of(bands, reference.basis())).append(tokens);
  }

  @ParameterizedTest
  @MethodSource("bands")
  void everyMethod_equalsTheReference(TwoBand bands) {
    for (String name : MODELS.keySet()) {
      String what = bands + ", " + name;
      double[][] expected = reference(name, bands, TOKENS);
      try (LlamaContext context = MODELS.get(name).newContext(options(bands));
          LlamaSession session = context.newSession()) {
        assertNear(what, expected, evaluate(session, TOKENS), tolerance(name));
        session.clear();
        double[][] single = new double[LENGTH][];
        for (int i = 0; i < LENGTH; i++) {
          session.append(TOKENS[i]);
          single[i] = Differences.copy(session.logits());
        }
        assertNear(what + ", by token", expected, single, tolerance(name));
      }
      ContextOptions batches = options(bands).withBatchTokens(80).withMicroBatchTokens(24);
      try (LlamaContext context = MODELS.get(name).newContext(batches);
          LlamaSession session = context.newSession()) {
        assertNear(what + ", by 24", expected, evaluate(session, TOKENS), tolerance(name));
      }
    }
  }

  /** A half may fall to either side when float32 and double differ: one step is 5e-4 of a value. */
  @ParameterizedTest
  @MethodSource("bands")
  void withHalfPrecisionCells_itEqualsTheReferenceThatRoundsThem(TwoBand bands) {
    ReferenceModel reference = REFERENCES.get("llama");
    double[][] expected =
        reference.roundedText(Positions.of(bands, reference.basis())).append(TOKENS);
    ContextOptions halves =
        options(bands).withKeyType(KvCacheType.F16).withValueType(KvCacheType.F16);
    try (LlamaContext context = MODELS.get("llama").newContext(halves);
        LlamaSession session = context.newSession()) {
      assertNear(bands + ", F16", expected, evaluate(session, TOKENS), 2e-3);
    }
  }

  @Test
  void chosenNumbers_areThoseThatTheContextReports() {
    for (TwoBand asked :
        List.of(
            RopeScaling.selfExtend(),
            RopeScaling.rerope(),
            RopeScaling.leakyReRope(),
            RopeScaling.dualChunk())) {
      try (LlamaContext context = MODELS.get("llama").newContext(options(asked));
          LlamaSession session = context.newSession()) {
        TwoBand resolved = asked.resolved(ReferenceFiles.TRAINED, LENGTH);
        assertEquals(resolved, context.ropeScaling());
        assertNear(
            resolved + ", chosen",
            reference("llama", resolved, TOKENS),
            evaluate(session, TOKENS),
            1e-4);
      }
    }
  }

  @Test
  void theReference_tellsMethodsApart() {
    List<TwoBand> all = bands().toList();
    List<double[][]> logits = all.stream().map(b -> reference("llama", b, TOKENS)).toList();
    for (int i = 0; i < all.size(); i++) {
      for (int j = 0; j < i; j++) {
        double difference = Differences.max(logits.get(i), logits.get(j));
        String pair = all.get(i) + " and " + all.get(j);
        assertTrue(difference > 1e-2, () -> pair + " differ by " + difference);
      }
    }
  }

  @Test
  void dynamic_isPlainAsTrained_thenReRope() {
    RopeBasis basis = REFERENCES.get("llama").basis();
    Dynamic dynamic = new Dynamic(Dynamic.Family.AUTO);
    for (int length : new int[] {50, 64, 65, 140}) {
      int[] tokens = Arrays.copyOf(TOKENS, length);
      double[][] expected =
          length <= ReferenceFiles.TRAINED
              ? REFERENCES.get("llama").text(Positions.of(Rotation.unscaled(basis))).append(tokens)
              : reference(
                  "llama", RopeScaling.rerope().resolved(ReferenceFiles.TRAINED, LENGTH), tokens);
      try (LlamaContext context = MODELS.get("llama").newContext(options(dynamic));
          LlamaSession session = context.newSession()) {
        for (int at = 0; at < length; at = Math.min(length, at + 30)) {
          session.append(Arrays.copyOfRange(tokens, at, Math.min(length, at + 30)));
        }
        double[][] last = {Differences.copy(session.logits())};
        assertNear(dynamic + " at " + length, new double[][] {expected[length - 1]}, last, 1e-4);
      }
    }
  }
}
