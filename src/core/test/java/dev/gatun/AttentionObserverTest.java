package dev.gatun;

import static dev.gatun.Differences.evaluate;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.ReferenceModel.Positions;
import dev.gatun.error.LlamaException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.gguf.SyntheticModel;
import dev.gatun.internal.NativeAttention;
import dev.gatun.internal.NativeAttention.HeadScores;
import dev.gatun.internal.NativeAttention.Keys;
import dev.gatun.internal.NativeAttention.Queries;
import dev.gatun.internal.NativeAttention.Scores;
import dev.gatun.internal.NativeAttention.Watch;
import dev.gatun.internal.NativeContext;
import dev.gatun.kv.KvCacheType;
import dev.gatun.rope.ReRope;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.Rotation;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Attention that a context observes, against {@link ReferenceModel}; cells in F32. */
class AttentionObserverTest {
  private static final int LENGTH = 150;
  private static final int[] TOKENS = ReferenceFiles.tokens(LENGTH, 4);
  private static final int LAYERS = 2;
  private static final int HEADS = 4;
  private static final int SIZE = 64;

  private static final Map<String, LlamaModel> MODELS = new LinkedHashMap<>();
  private static final Map<String, ReferenceModel> REFERENCES = new LinkedHashMap<>();

  @TempDir static Path folder;

  @BeforeAll
  static void load() {
    for (SyntheticModel.Family family :
        new SyntheticModel.Family[] {SyntheticModel.Family.LLAMA, SyntheticModel.Family.QWEN2}) {
      Path path = ReferenceFiles.write(folder, family, LAYERS);
      MODELS.put(family.architecture(), LlamaModel.load(path));
      REFERENCES.put(family.architecture(), new ReferenceModel(path));
    }
  }

  @AfterAll
  static void close() {
    MODELS.values().forEach(LlamaModel::close);
  }

  private static ContextOptions options(RopeScaling scaling, int threads) {
    return ContextOptions.defaults()
        .withContextTokens(512)
        .withThreads(threads)
        .withBatchThreads(threads)
        .withMicroBatchTokens(64)
        .withKeyType(KvCacheType.F32)
        .withValueType(KvCacheType.F32)
        .withRopeScaling(scaling);
  }

  /** What the reference saw from one position on. */
  private static final class Seen {
    final double[][][][] probabilities = new double[LENGTH][LAYERS][HEADS][];
    final double[][][][] queries = new double[LENGTH][LAYERS][HEADS][];

    Seen(String model, Function<ReferenceModel, Positions> positions) {
      ReferenceModel reference = REFERENCES.get(model);
      reference
          .text(positions.apply(reference))
          .watchedBy(
              (layer, head, position, query, seen) -> {
                probabilities[position][layer][head] = seen;
                queries[position][layer][head] = query;
              })
          .append(TOKENS);
    }

    double sum(int layer, int head, int key, int from) {
      return IntStream.range(Math.max(from, key), LENGTH)
          .mapToDouble(q -> probabilities[q][layer][head][key])
          .sum();
    }

    double most(int layer, int head, int key, int from) {
      return IntStream.range(Math.max(from, key), LENGTH)
          .mapToDouble(q -> probabilities[q][layer][head][key])
          .max()
          .orElse(0);
    }
  }

  static Stream<Arguments> cases() {
    return Stream.of(1, 2)
        .flatMap(
            threads ->
                Stream.of("llama", "qwen2")
                    .flatMap(
                        model ->
                            Stream.of(
                                Arguments.of(model, threads, RopeScaling.none()),
                                Arguments.of(model, threads, RopeScaling.yarn(4)),
                                Arguments.of(model, threads, RopeScaling.linear(2)),
                                Arguments.of(model, threads, new ReRope(16, true)))));
  }

  private static Positions positions(ReferenceModel reference, RopeScaling scaling) {
    return switch (scaling) {
      case ReRope bands -> Positions.of(bands, reference.basis());
      case dev.gatun.rope.StaticScaling table -> Positions.of(table.rotation(reference.basis()));
      default -> Positions.of(Rotation.unscaled(reference.basis()));
    };
  }

  private static void inside(NativeContext context, Runnable body) {
    context.guard().enter();
    try {
      body.run();
    } finally {
      context.guard().exit();
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void probabilities_equalTheReference(String model, int threads, RopeScaling scaling) {
    Seen seen = new Seen(model, reference -> positions(reference, scaling));
    for (int from : new int[] {0, 100}) {
      try (LlamaContext owner = MODELS.get(model).newContext(options(scaling, threads));
          LlamaSession session = owner.newSession()) {
        NativeContext context = session.nativeContext();
        inside(
            context,
            () ->
                NativeAttention.begin(context, Watch.of(0).from(from).withHeads().withQueries(20)));
        // Three micro batches, then token by token.
        session.append(Arrays.copyOf(TOKENS, LENGTH - 7));
        for (int i = LENGTH - 7; i < LENGTH; i++) {
          session.append(TOKENS[i]);
        }
        inside(context, () -> compare(seen, context, from));
      }
    }
  }

  private static void compare(Seen seen, NativeContext context, int from) {
    Scores scores = NativeAttention.scores(context, 0);
    HeadScores heads = NativeAttention.headScores(context, 0);
    assertArrayEquals(IntStream.range(0, LENGTH).toArray(), scores.positions());
    assertArrayEquals(new int[] {0, 1}, heads.layers());
    assertEquals(LENGTH - from, scores.queries());
    for (int key = 0; key < LENGTH; key++) {
      double sum = 0;
      double most = 0;
      double last = 0;
      for (int layer = 0; layer < LAYERS; layer++) {
        for (int head = 0; head < HEADS; head++) {
          double headSum = seen.sum(layer, head, key, from);
          double headMost = seen.most(layer, head, key, from);
          assertEquals(headSum, heads.sums()[layer][head][key], 1e-4 * (1 + headSum));
          assertEquals(headMost, heads.maxima()[layer][head][key], 1e-4);
          sum += headSum;
          most = Math.max(most, headMost);
          last += seen.probabilities[LENGTH - 1][layer][head][key] / (LAYERS * HEADS);
        }
      }
      assertEquals(sum, scores.sums()[key], 1e-4 * (1 + sum));
      assertEquals(most, scores.maxima()[key], 1e-4);
      assertEquals(last, scores.last()[key], 1e-4);
    }
    Queries queries = NativeAttention.queries(context);
    assertArrayEquals(IntStream.range(LENGTH - 20, LENGTH).toArray(), queries.positions());
    for (int token = 0; token < 20; token++) {
      for (int layer = 0; layer < LAYERS; layer++) {
        for (int head = 0; head < HEADS; head++) {
          double[] expected = seen.queries[LENGTH - 20 + token][layer][head];
          int at = queries.at(layer, token, head);
          for (int e = 0; e < SIZE; e++) {
            assertEquals(expected[e], queries.values()[at + e], 1e-3);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void logits_areThoseOfTheReference_alsoWhileObserved(
      String model, int threads, RopeScaling scaling) {
    ReferenceModel reference = REFERENCES.get(model);
    double[][] expected = reference.text(positions(reference, scaling)).append(TOKENS);
    try (LlamaContext owner = MODELS.get(model).newContext(options(scaling, threads));
        LlamaSession session = owner.newSession()) {
      inside(
          session.nativeContext(),
          () -> NativeAttention.begin(session.nativeContext(), Watch.of(0)));
      // Float32 throughout: closer than ggml's kernel, which rounds to half precision.
      Differences.assertNear(scaling + ", observed", expected, evaluate(session, TOKENS), 3e-4);
    }
  }

  /** Ends, begins and ends again between single tokens, whose graph is run again and again. */
  @Test
  void ending_givesTheOldKernelBack() {
    for (KvCacheType type :
        new KvCacheType[] {KvCacheType.F32, KvCacheType.F16, KvCacheType.Q8_0}) {
      ContextOptions options = options(RopeScaling.none(), 1).withKeyType(type).withValueType(type);
      double[][] expected = new double[LENGTH][];
      double[][] actual = new double[LENGTH][];
      try (LlamaContext owner = MODELS.get("llama").newContext(options);
          LlamaSession session = owner.newSession()) {
        for (int i = 0; i < LENGTH; i++) {
          session.append(TOKENS[i]);
          expected[i] = Differences.copy(session.logits());
        }
      }
      try (LlamaContext owner = MODELS.get("llama").newContext(options);
          LlamaSession session = owner.newSession()) {
        NativeContext context = session.nativeContext();
        session.append(Arrays.copyOf(TOKENS, 100));
        for (int i = 100; i < LENGTH; i++) {
          if (i % 10 == 3) {
            inside(context, () -> NativeAttention.begin(context, Watch.of(0)));
          } else if (i % 10 == 6) {
            inside(context, () -> NativeAttention.end(context));
          }
          session.append(TOKENS[i]);
          actual[i] = Differences.copy(session.logits());
        }
      }
      double during = 0;
      double outside = 0;
      for (int i = 100; i < LENGTH; i++) {
        double off = Differences.max(expected[i], actual[i]);
        if (i % 10 >= 3 && i % 10 < 6) {
          during = Math.max(during, off);
        } else if (i < 103) {
          outside = Math.max(outside, off);
        }
      }
      assertTrue(during > 0, "the kernels are too much alike to tell which of them ran");
      // With quantised cells ggml's kernel quantises the query too.
      assertTrue(during < (type == KvCacheType.Q8_0 ? 0.2 : 5e-2), type + ": " + during);
      // Read in two ways: as a batch and by token.
      assertTrue(outside < 5e-2, type + ": " + outside);
      sameKernelAfterwards(options);
    }
  }

  private static void sameKernelAfterwards(ContextOptions options) {
    double[][] logits = new double[2][];
    for (int observed = 0; observed < 2; observed++) {
      try (LlamaContext owner = MODELS.get("llama").newContext(options);
          LlamaSession session = owner.newSession()) {
        NativeContext context = session.nativeContext();
        session.append(Arrays.copyOf(TOKENS, 60));
        session.append(TOKENS[60]);
        session.append(TOKENS[61]);
        if (observed == 1) {
          inside(context, () -> NativeAttention.begin(context, Watch.of(0)));
          session.append(TOKENS[62]);
          session.append(TOKENS[63]);
          inside(context, () -> NativeAttention.end(context));
          session.truncate(62);
        }
        session.append(TOKENS[64]);
        session.append(TOKENS[65]);
        logits[observed] = Differences.copy(session.logits());
      }
    }
    assertArrayEquals(logits[0], logits[1]);
  }

  @Test
  void observing_changesNoLogits_underTwoBands() {
    double[][][] logits = new double[2][][];
    for (int observed = 0; observed < 2; observed++) {
      try (LlamaContext owner = MODELS.get("llama").newContext(options(new ReRope(16, false), 1));
          LlamaSession session = owner.newSession()) {
        NativeContext context = session.nativeContext();
        if (observed == 1) {
          inside(context, () -> NativeAttention.begin(context, Watch.of(0).withHeads()));
        }
        logits[observed] = evaluate(session, TOKENS);
      }
    }
    assertEquals(0, Differences.max(logits[0], logits[1]));
  }

  @Test
  void cells_beginAnew_withAnotherToken() {
    try (LlamaContext owner = MODELS.get("llama").newContext(options(RopeScaling.none(), 1));
        LlamaSession session = owner.newSession()) {
      NativeContext context = session.nativeContext();
      inside(context, () -> NativeAttention.begin(context, Watch.of(0)));
      session.append(TOKENS);
      session.truncate(100);
      session.append(TOKENS[100]);
      inside(
          context,
          () -> {
            Scores scores = NativeAttention.scores(context, 0);
            assertEquals(101, scores.positions().length);
            double sum = 0;
            for (float value : scores.last()) {
              sum += value;
            }
            assertEquals(1, sum, 1e-5);
            // The new token was met by itself only: in each of 8 heads at most wholly.
            assertTrue(scores.sums()[100] <= LAYERS * HEADS);
            assertEquals(scores.last()[100] * LAYERS * HEADS, scores.sums()[100], 1e-5);
            NativeAttention.reset(context);
            Scores none = NativeAttention.scores(context, 0);
            assertEquals(0, none.queries());
            assertArrayEquals(new float[101], none.sums());
          });
    }
  }

  @Test
  void onlyTheSequenceAskedFor_isObserved() {
    ContextOptions two = options(RopeScaling.none(), 1).withMaxSequences(2);
    for (boolean unified : new boolean[] {true, false}) {
      try (LlamaContext owner = MODELS.get("llama").newContext(two.withUnifiedKv(unified));
          LlamaSession first = owner.newSession();
          LlamaSession second = owner.newSession()) {
        NativeContext context = first.nativeContext();
        inside(context, () -> NativeAttention.begin(context, Watch.of(1).withHeads()));
        first.append(Arrays.copyOf(TOKENS, 40));
        second.append(Arrays.copyOf(TOKENS, 50));
        inside(
            context,
            () -> {
              assertArrayEquals(new float[40], NativeAttention.scores(context, 0).sums());
              Scores scores = NativeAttention.scores(context, 1);
              assertEquals(50, scores.queries());
              double sum = 0;
              for (float value : scores.sums()) {
                sum += value;
              }
              assertEquals(50 * LAYERS * HEADS, sum, 1e-2);
            });
      }
    }
  }

  /** A mixed cache shows keys as they were: the reference's, rounded by the type. */
  @Test
  void keys_areRotatedAndNotMixed() {
    float[][] keys = new float[2][];
    KvCacheType[] types = {KvCacheType.F32, KvCacheType.Q8_0};
    for (int i = 0; i < 2; i++) {
      ContextOptions options = options(RopeScaling.none(), 1).withKeyType(types[i]);
      try (LlamaContext owner = MODELS.get("llama").newContext(options);
          LlamaSession session = owner.newSession()) {
        NativeContext context = session.nativeContext();
        session.append(TOKENS);
        int at = i;
        inside(
            context,
            () -> {
              assertArrayEquals(new int[] {0, 1}, NativeAttention.layers(context));
              Keys found = NativeAttention.keys(context, 0, 0);
              assertEquals(128, found.width());
              assertEquals(LENGTH, found.positions().length);
              keys[at] = found.values();
              assertThrows(
                  UnsupportedOperationForModelException.class,
                  () -> NativeAttention.keys(context, 0, 2));
            });
      }
    }
    double error = 0;
    double all = 0;
    for (int i = 0; i < keys[0].length; i++) {
      error += Math.pow(keys[0][i] - keys[1][i], 2);
      all += Math.pow(keys[0][i], 2);
    }
    assertTrue(all > 0 && error / all < 1e-4, error / all + "");
  }

  @Test
  void whatCannotBeObserved_isRefused() {
    ContextOptions off = options(RopeScaling.none(), 1).withFlashAttention(FlashAttention.OFF);
    try (LlamaContext owner = MODELS.get("llama").newContext(off);
        LlamaSession session = owner.newSession()) {
      NativeContext context = session.nativeContext();
      inside(
          context,
          () ->
              assertThrows(
                  UnsupportedOperationForModelException.class,
                  () -> NativeAttention.begin(context, Watch.of(0))));
    }
    try (LlamaContext owner = MODELS.get("llama").newContext(options(RopeScaling.none(), 1));
        LlamaSession session = owner.newSession()) {
      NativeContext context = session.nativeContext();
      inside(
          context,
          () -> {
            assertThrows(LlamaException.class, () -> NativeAttention.scores(context, 0));
            assertThrows(
                UnsupportedOperationForModelException.class,
                () -> NativeAttention.begin(context, Watch.of(1)));
          });
    }
    Path mamba = ReferenceFiles.write(folder, SyntheticModel.Family.MAMBA, 1);
    try (LlamaModel model = LlamaModel.load(mamba);
        LlamaContext owner = model.newContext(ContextOptions.defaults().withContextTokens(64));
        LlamaSession session = owner.newSession()) {
      NativeContext context = session.nativeContext();
      inside(
          context,
          () ->
              assertThrows(
                  UnsupportedOperationForModelException.class,
                  () -> NativeAttention.begin(context, Watch.of(0))));
    }
  }
}
