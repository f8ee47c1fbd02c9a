package dev.gatun;

import static dev.gatun.Differences.assertNear;
import static dev.gatun.Differences.evaluate;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.ReferenceModel.Positions;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.gguf.SyntheticModel;
import dev.gatun.internal.NativeContext;
import dev.gatun.internal.NativeSparse;
import dev.gatun.internal.NativeSparse.Counts;
import dev.gatun.kv.KvCacheType;
import dev.gatun.kv.SparseAttention;
import dev.gatun.rope.DualChunk;
import dev.gatun.rope.ReRope;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.Rotation;
import dev.gatun.rope.SelfExtend;
import dev.gatun.rope.TwoBand;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Attention that leaves keys out, against {@link ReferenceModel} with the same keys hidden. */
class SparseAttentionTest {
  private static final int LENGTH = 300;
  private static final int[] TOKENS = ReferenceFiles.tokens(LENGTH, 6);
  private static final int LAYERS = 2;
  private static final int HEADS = 4;

  @TempDir static Path folder;
  private static LlamaModel model;
  private static LlamaModel oneLayer;
  private static ReferenceModel reference;
  private static ReferenceModel oneLayerReference;

  @BeforeAll
  static void load() {
    Path two = ReferenceFiles.write(folder, SyntheticModel.Family.LLAMA, LAYERS);
    Path one = ReferenceFiles.write(folder, SyntheticModel.Family.LLAMA, 1);
    model = LlamaModel.load(two);
    oneLayer = LlamaModel.load(one);
    reference = new ReferenceModel(two);
    oneLayerReference = new ReferenceModel(one);
  }

  @AfterAll
  static void close() {
    model.close();
    oneLayer.close();
  }

  private static ContextOptions options(SparseAttention sparse, RopeScaling scaling, int threads) {
    return ContextOptions.defaults()
        .withContextTokens(512)
        .withThreads(threads)
        .withBatchThreads(threads)
        .withMicroBatchTokens(100)
        .withKeyType(KvCacheType.F32)
        .withValueType(KvCacheType.F32)
        .withRopeScaling(scaling)
        .withSparseAttention(sparse);
  }

  static Stream<SparseAttention> patterns() {
    return Stream.of(
        new SparseAttention.LocalWindow(20, 0),
        new SparseAttention.LocalWindow(70, 4),
        new SparseAttention.LocalWindow(1, 1),
        new SparseAttention.Dilated(30, 1),
        new SparseAttention.Dilated(25, 3),
        new SparseAttention.Blocks(33),
        new SparseAttention.Blocks(64),
        new SparseAttention.Strided(17),
        new SparseAttention.Longformer(16, 1, List.of(0, 1, 77, 200)),
        new SparseAttention.Longformer(16, 2, List.of(130)),
        new SparseAttention.BigBird(16, 2, 1, 2, 42),
        new SparseAttention.BigBird(10, 1, 0, 3, -1));
  }

  private static <T> T inside(NativeContext context, Supplier<T> body) {
    context.guard().enter();
    try {
      return body.get();
    } finally {
      context.guard().exit();
    }
  }

  private static Counts counts(LlamaSession session) {
    NativeContext context = session.nativeContext();
    return inside(context, () -> NativeSparse.counts(context));
  }

  private static Positions positions(RopeScaling scaling) {
    return scaling instanceof TwoBand bands
        ? Positions.of(bands, reference.basis())
        : Positions.of(Rotation.unscaled(reference.basis()));
  }

  @ParameterizedTest
  @MethodSource("patterns")
  void everyPattern_equalsTheReference(SparseAttention sparse) {
    long met = 0;
    for (int query = 0; query < LENGTH; query++) {
      for (int key = 0; key <= query; key++) {
        met += sparse.hides(query, key) ? 0 : 1;
      }
    }
    for (RopeScaling scaling : List.of(RopeScaling.none(), new ReRope(16, false))) {
      double[][] expected = reference.text(positions(scaling)).masked(sparse::hides).append(TOKENS);
      for (int threads = 1; threads <= (scaling instanceof ReRope ? 1 : 2); threads++) {
        String what = sparse.describe() + ", " + scaling + ", " + threads;
        try (LlamaContext context = model.newContext(options(sparse, scaling, threads));
            LlamaSession session = context.newSession()) {
          assertNear(what, expected, evaluate(session, TOKENS), 3e-4);
          Counts counts = counts(session);
          assertEquals(met * LAYERS * HEADS, counts.attended(), what);
          assertEquals((long) LENGTH * LAYERS * HEADS, counts.rows(), what);
          assertEquals(LENGTH * (LENGTH + 1L) / 2 * LAYERS * HEADS, counts.visible(), what);
          session.truncate(LENGTH - 20);
          for (int i = LENGTH - 20; i < LENGTH; i++) {
            session.append(TOKENS[i]);
            double[][] last = {Differences.copy(session.logits())};
            assertNear(what + " by token", new double[][] {expected[i]}, last, 3e-4);
          }
        }
      }
    }
  }

  @Test
  void patterns_changeTheLogits() {
    double[][] full = reference.text(positions(RopeScaling.none())).append(TOKENS);
    patterns()
        .forEach(
            sparse -> {
              double[][] masked =
                  reference
                      .text(positions(RopeScaling.none()))
                      .masked(sparse::hides)
                      .append(TOKENS);
              assertTrue(Differences.max(full, masked) > 1e-2, sparse.describe());
            });
  }

  /** Of one layer, whose input no pattern changes: the reference's own probabilities. */
  @Test
  void recall_isTheShareOfFullAttention() {
    SparseAttention.LocalWindow sparse = new SparseAttention.LocalWindow(40, 2);
    double[] recall = new double[2]; // sum, least
    recall[1] = 1;
    oneLayerReference
        .text(positions(RopeScaling.none()))
        .watchedBy(
            (layer, head, position, query, probabilities) -> {
              double met = 0;
              for (int key = 0; key <= position; key++) {
                met += sparse.hides(position, key) ? 0 : probabilities[key];
              }
              recall[0] += met / HEADS / LENGTH;
              recall[1] = Math.min(recall[1], met);
            })
        .append(TOKENS);
    try (LlamaContext context = oneLayer.newContext(options(sparse, RopeScaling.none(), 1));
        LlamaSession session = context.newSession()) {
      NativeContext raw = session.nativeContext();
      inside(
          raw,
          () -> {
            NativeSparse.set(raw, sparse, true);
            return 0;
          });
      session.append(TOKENS);
      Counts counts = counts(session);
      assertEquals((long) HEADS * LENGTH, counts.measured());
      assertEquals(recall[0], counts.recall(), 1e-4);
      assertEquals(recall[1], counts.least(), 1e-4);
      assertTrue(recall[0] < 0.9, "the pattern hides too little to test by");
    }
  }

  static Stream<RopeScaling> scalings() {
    return Stream.of(
        RopeScaling.none(),
        RopeScaling.yarn(4),
        new ReRope(16, true),
        new SelfExtend(4, 16, false),
        new DualChunk(48, 16, false));
  }

  @ParameterizedTest
  @MethodSource("scalings")
  void pagesThatHoldAll_areFullAttention(RopeScaling scaling) {
    double[][] logits = new double[2][];
    SparseAttention[] both = {
      new SparseAttention.LocalWindow(LENGTH, 0),
      // Also while it reads, so that both read by the same kernel.
      new SparseAttention.Pages(512, 64, 4, 512, SparseAttention.Ranking.EXPECTED_WEIGHT)
    };
    for (int i = 0; i < 2; i++) {
      try (LlamaContext context = model.newContext(options(both[i], scaling, 1));
          LlamaSession session = context.newSession()) {
        session.append(Arrays.copyOf(TOKENS, LENGTH - 3));
        for (int at = LENGTH - 3; at < LENGTH; at++) {
          session.append(TOKENS[at]);
        }
        logits[i] = Differences.copy(session.logits());
        Counts counts = counts(session);
        assertEquals(counts.visible(), counts.attended());
      }
    }
    assertArrayEquals(logits[0], logits[1]);
  }

  @ParameterizedTest
  @MethodSource("scalings")
  void pages_skip_andFindWhatMatters(RopeScaling scaling) {
    for (SparseAttention.Ranking ranking : SparseAttention.Ranking.values()) {
      for (KvCacheType type : new KvCacheType[] {KvCacheType.F16, KvCacheType.Q8_0}) {
        SparseAttention pages =
            new SparseAttention.Pages(96, 16, 4, 8, SparseAttention.Ranking.BOUND)
                .withRanking(ranking);
        ContextOptions options = options(pages, scaling, 2).withKeyType(type).withValueType(type);
        try (LlamaContext context = oneLayer.newContext(options);
            LlamaSession session = context.newSession()) {
          NativeContext raw = session.nativeContext();
          inside(
              raw,
              () -> {
                NativeSparse.set(raw, pages, true);
                return 0;
              });
          session.append(Arrays.copyOf(TOKENS, LENGTH - 50));
          assertEquals(0, counts(session).rows(), "reading meets all keys");
          for (int at = LENGTH - 50; at < LENGTH; at++) {
            session.append(TOKENS[at]);
          }
          Counts counts = counts(session);
          assertEquals(50L * HEADS, counts.rows());
          // The budget, and pages that the sinks, the newest 16 and the window of 16 lie in.
          assertTrue(counts.attended() <= (96 + 16 + 32) * counts.rows(), counts.toString());
          assertTrue(counts.attended() >= 96 * counts.rows(), counts.toString());
          // Pages at random would find their share, and the tokens of a random page have nothing in
          // common; still each ranking does better.
          double share = (double) counts.attended() / counts.visible();
          assertTrue(counts.recall() > share + 0.03, scaling + " " + ranking + " " + counts);
        }
      }
    }
  }

  /**
   * Summaries that followed what happened to the cells, against new ones of the same cells: the
   * same token gives the same logits.
   */
  private static void assertSummariesAreRight(LlamaSession session, SparseAttention pages) {
    NativeContext raw = session.nativeContext();
    session.append(77);
    double[] followed = Differences.copy(session.logits());
    assertTrue(counts(session).attended() > 0);
    session.truncate(session.position() - 1);
    inside(
        raw,
        () -> {
          NativeSparse.set(raw, pages, false);
          return 0;
        });
    session.append(77);
    assertArrayEquals(followed, Differences.copy(session.logits()));
    Counts counts = counts(session);
    assertTrue(counts.attended() < counts.visible(), counts.toString());
    session.truncate(session.position() - 1);
  }

  @Test
  void summaries_followTheCells() {
    for (RopeScaling scaling : List.of(RopeScaling.none(), new ReRope(16, false))) {
      SparseAttention pages =
          new SparseAttention.Pages(32, 16, 4, 8, SparseAttention.Ranking.EXPECTED_WEIGHT);
      try (LlamaContext context =
              model.newContext(
                  options(pages, scaling, 1)
                      .withMaxSequences(2)
                      .withContextTokens(1024)
                      .withUnifiedKv(false));
          LlamaSession session = context.newSession()) {
        session.append(TOKENS);
        assertSummariesAreRight(session, pages);
        SessionState saved = session.save();
        session.append(9);
        // Other tokens in cells that had been used.
        session.truncate(100);
        session.append(ReferenceFiles.tokens(150, 8));
        assertSummariesAreRight(session, pages);
        // Keys that were turned.
        session.discard(20, 61);
        assertSummariesAreRight(session, pages);
        session.append(ReferenceFiles.tokens(60, 9));
        assertSummariesAreRight(session, pages);
        // The same positions with other keys.
        session.clear();
        session.append(ReferenceFiles.tokens(LENGTH, 10));
        assertSummariesAreRight(session, pages);
        session.restore(saved);
        assertSummariesAreRight(session, pages);
        // A copy into another stream, over what it had.
        LlamaSession other = context.newSession();
        other.append(ReferenceFiles.tokens(LENGTH, 11));
        other.append(5);
        other.close();
        try (LlamaSession fork = session.fork()) {
          assertSummariesAreRight(fork, pages);
        }
        assertSummariesAreRight(session, pages);
      }
    }
  }

  @Test
  void severalTokensAtOnce_chooseTogether() {
    SparseAttention pages = new SparseAttention.Pages(64, 16, 4, 4, SparseAttention.Ranking.BOUND);
    for (int threads : new int[] {1, 2}) {
      try (LlamaContext context = model.newContext(options(pages, RopeScaling.none(), threads));
          LlamaSession session = context.newSession()) {
        session.append(Arrays.copyOf(TOKENS, 280));
        evaluate(session, Arrays.copyOfRange(TOKENS, 280, 284));
        Counts four = counts(session);
        assertEquals(4L * LAYERS * HEADS, four.rows());
        assertTrue(four.attended() < four.visible());
        evaluate(session, Arrays.copyOfRange(TOKENS, 284, 289));
        assertEquals(0, counts(session).rows(), "five are more than four");
      }
    }
  }

  @Test
  void manyHeadsThatShareAKeyHead_chooseToo() {
    Path many = ReferenceFiles.write(folder, SyntheticModel.Family.LLAMA, 1, 640, 80, 1);
    SparseAttention pages = new SparseAttention.Pages(64, 16, 4, 4, SparseAttention.Ranking.BOUND);
    try (LlamaModel wide = LlamaModel.load(many);
        LlamaContext context = wide.newContext(options(pages, RopeScaling.none(), 1));
        LlamaSession session = context.newSession()) {
      session.append(Arrays.copyOf(TOKENS, 280));
      session.append(TOKENS[280]);
      Counts counts = counts(session);
      assertEquals(80, counts.rows());
      assertTrue(counts.attended() < counts.visible(), counts.toString());
    }
  }

  @Test
  void whatCannotWork_isRefused() {
    assertThrows(
        IllegalArgumentException.class,
        () ->
            ContextOptions.defaults()
                .withFlashAttention(FlashAttention.OFF)
                .withSparseAttention(SparseAttention.pages()));
    assertThrows(IllegalArgumentException.class, () -> SparseAttention.pages(8));
    assertThrows(IllegalArgumentException.class, () -> new SparseAttention.Dilated(1 << 20, 100));
    assertThrows(
        IllegalArgumentException.class, () -> new SparseAttention.Longformer(1, 1, List.of(3, 3)));
    Path mamba = ReferenceFiles.write(folder, SyntheticModel.Family.MAMBA, 1);
    try (LlamaModel recurrent = LlamaModel.load(mamba)) {
      ContextOptions options =
          ContextOptions.defaults()
              .withContextTokens(64)
              .withSparseAttention(new SparseAttention.Blocks(8));
      assertThrows(
          UnsupportedOperationForModelException.class, () -> recurrent.newContext(options).close());
    }
  }
}
