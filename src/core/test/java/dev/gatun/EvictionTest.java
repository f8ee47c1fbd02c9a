package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.error.CallbackException;
import dev.gatun.error.KvCacheFullException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.kv.EvictionNeeds;
import dev.gatun.kv.EvictionOptions;
import dev.gatun.kv.EvictionPolicy;
import dev.gatun.kv.EvictionReport;
import dev.gatun.kv.EvictionView;
import dev.gatun.kv.Observation;
import dev.gatun.kv.TokenRange;
import dev.gatun.rope.RopeScaling;
import dev.gatun.sampling.Sampler;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Eviction in sessions of the built-in model. */
class EvictionTest {
  private static LlamaModel model;
  private static int[] text;

  @BeforeAll
  static void load() throws IOException {
    model = LlamaModel.load(TestModels.tiny());
    String prose = Files.readString(TestModels.heldout()).substring(0, 2_000);
    text = Arrays.copyOf(model.tokenizer().encode(prose, true, false), 200);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static ContextOptions options(int tokens) {
    return ContextOptions.defaults()
        .withContextTokens(tokens)
        .withThreads(1)
        .withBatchThreads(1)
        .withMaxSequences(2);
  }

  private static LlamaContext context() {
    return model.newContext(options(1024));
  }

  private static String greedy(LlamaSession session, int tokens) {
    return session
        .generate(
            GenerationOptions.defaults()
                .withSampler(Sampler.greedy())
                .withMaxTokens(tokens)
                .withIgnoreEndOfGeneration(true))
        .text();
  }

  /** A policy of a user's own: nothing but scores. */
  private record Own(EvictionNeeds needs, java.util.function.Function<EvictionView, float[]> how)
      implements EvictionPolicy {
    @Override
    public String name() {
      return "own";
    }

    @Override
    public float[] score(EvictionView view) {
      return how.apply(view);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "h2o",
        "snapkv:16/5",
        "sentences",
        "contrast:8/8",
        "lookahead:4",
        "tova",
        "keynorm",
        "keydiff:mean",
        "expected:32/16",
        "kvzip:32",
        "random:3",
        "recent"
      })
  void evict_keepsTheBudgetAndThePins_andTheSessionGoesOn(String spec) {
    try (LlamaContext context = context();
        LlamaSession session = context.newSession()) {
      session.append(text);
      EvictionReport report =
          session.evict(
              EvictionPolicy.parse(spec),
              EvictionOptions.tokens(60).withPinned(50, 70).withPinned(120, 125));
      assertEquals(60, session.size());
      assertEquals(200, session.position());
      int[] positions = session.positions();
      int[] tokens = session.tokens();
      for (int i = 0; i < 60; i++) {
        assertEquals(text[positions[i]], tokens[i], "a token must stay at its position");
      }
      IntStream always =
          IntStream.concat(
              IntStream.concat(IntStream.range(50, 70), IntStream.range(120, 125)),
              IntStream.concat(IntStream.range(0, 2), IntStream.range(192, 200)));
      assertTrue(
          always.allMatch(p -> Arrays.binarySearch(positions, p) >= 0),
          () -> Arrays.toString(positions));
      assertEquals(200, report.tokensBefore());
      assertEquals(60, report.tokensAfter());
      assertEquals(140, report.dropped().stream().mapToInt(TokenRange::size).sum());
      assertTrue(report.freedBytes() > 0);
      assertEquals(
          5,
          session
              .generate(
                  GenerationOptions.defaults().withMaxTokens(5).withIgnoreEndOfGeneration(true))
              .stream()
              .toList()
              .size());
    }
  }

  @Test
  void evict_freesCells_forOthers() {
    try (LlamaContext context = model.newContext(options(256).withMaxSequences(1));
        LlamaSession session = context.newSession()) {
      for (int round = 0; round < 5; round++) {
        session.append(Arrays.copyOf(text, 150)); // 750 tokens through 256 cells
        session.evict(EvictionPolicy.parse("keydiff"), EvictionOptions.tokens(50));
      }
      assertEquals(50, session.size());
      assertEquals(750, session.position());
    }
  }

  @Test
  void evict_compactsWhenAttentionThenRunsOverFarFewerCells() {
    try (LlamaContext context = model.newContext(options(1024).withMaxSequences(1));
        LlamaSession session = context.newSession()) {
      for (int i = 0; i < 4; i++) {
        session.append(text);
      }
      EvictionOptions how = EvictionOptions.tokens(200);
      EvictionPolicy policy = EvictionPolicy.parse("random");
      SessionState before = session.save();
      assertTrue(session.evict(policy, how.withCompact(false)).compaction().isEmpty());
      String loose = greedy(session, 6);
      session.restore(before);
      EvictionReport report = session.evict(policy, how);
      assertTrue(report.compaction().orElseThrow().extentAfter() <= 256, report::toString);
      assertEquals(loose, greedy(session, 6));
      // 200 of 206 cells: nothing would be gained.
      assertTrue(session.evict(policy, how).compaction().isEmpty());
    }
  }

  @Test
  void evict_leavesAForkAsItIs() {
    try (LlamaContext context = model.newContext(options(1024).withUnifiedKv(true));
        LlamaSession session = context.newSession()) {
      session.append(text);
      try (LlamaSession fork = session.fork()) {
        String alone = greedy(fork, 8);
        fork.truncate(200);
        session.evict(EvictionPolicy.parse("snapkv"), EvictionOptions.tokens(30));
        assertArrayEquals(text, fork.tokens());
        assertEquals(alone, greedy(fork, 8));
      }
    }
  }

  @Test
  void evict_ofNothing_changesNothing() {
    try (LlamaContext context = context();
        LlamaSession session = context.newSession()) {
      session.append(text);
      EvictionReport report =
          session.evict(EvictionPolicy.parse("kvzip"), EvictionOptions.tokens(500));
      assertEquals(0, report.readAgain());
      assertTrue(report.dropped().isEmpty());
      assertArrayEquals(text, session.tokens());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"contrast:8/8", "lookahead:4", "kvzip:32", "h2o"})
  void looking_leavesWhatIsHeld_andTheAnswer(String spec) {
    try (LlamaContext context = context();
        LlamaSession session = context.newSession();
        LlamaSession untouched = context.newSession()) {
      untouched.append(text);
      String expected = greedy(untouched, 12);
      EvictionPolicy looks = EvictionPolicy.parse(spec);
      Own fails =
          new Own(
              looks.needs(),
              view -> {
                looks.score(view);
                throw new IllegalStateException("on purpose");
              });
      session.append(text);
      assertThrows(CallbackException.class, () -> session.evict(fails, EvictionOptions.tokens(50)));
      assertArrayEquals(text, session.tokens());
      assertEquals(200, session.position());
      assertEquals(expected, greedy(session, 12));
    }
  }

  @Test
  void ownPolicy_seesWhatItAskedFor_andNothingElse() {
    try (LlamaContext context = context();
        LlamaSession session = context.newSession()) {
      session.append(text);
      EvictionNeeds window = EvictionNeeds.of(new Observation.Window(10, 5, 0)).withHeads();
      Own own =
          new Own(
              window,
              view -> {
                assertEquals(200, view.size());
                assertEquals(4, view.layers());
                assertEquals(10, view.attention().queries());
                assertEquals(5, view.attentionBefore().queries());
                assertEquals(0f, view.attentionBefore().maxima()[195]);
                double mass = 0;
                for (float sum : view.attention().headSums()[2][3]) {
                  mass += sum;
                }
                assertEquals(10, mass, 1e-3, "each query gives away 1");
                assertThrows(IllegalStateException.class, () -> view.keys(0));
                assertThrows(IllegalStateException.class, view::queries);
                float[] scores = new float[200];
                scores[33] = 1;
                return scores;
              });
      session.evict(own, EvictionOptions.tokens(11));
      assertEquals(33, session.positions()[2]);
    }
  }

  @Test
  void ownPolicy_withTooFewScores_isRefused() {
    try (LlamaContext context = context();
        LlamaSession session = context.newSession()) {
      session.append(text);
      Own own = new Own(EvictionNeeds.nothing(), view -> new float[3]);
      assertThrows(
          IllegalArgumentException.class, () -> session.evict(own, EvictionOptions.tokens(50)));
      assertEquals(200, session.size());
    }
  }

  @Test
  void h2o_seesTheSame_whetherItObservedFromTheStartOrReadsAgain() {
    try (LlamaContext context = context();
        LlamaSession observed = context.newSession()) {
      float[][] seen = new float[2][];
      EvictionNeeds all = EvictionNeeds.of(new Observation.Accumulated());
      observed.observeAttention();
      observed.append(Arrays.copyOf(text, 90));
      observed.append(Arrays.copyOfRange(text, 90, 200));
      Own first = new Own(all, view -> seen[0] = view.attention().sums().clone());
      EvictionReport report = observed.evict(first, EvictionOptions.tokens(199));
      assertEquals(0, report.readAgain());
      try (LlamaSession again = context.newSession()) {
        again.append(text);
        Own second = new Own(all, view -> seen[1] = view.attention().sums().clone());
        assertEquals(200, again.evict(second, EvictionOptions.tokens(199)).readAgain());
      }
      double total = 0;
      for (int i = 0; i < 200; i++) {
        assertEquals(seen[0][i], seen[1][i], 0.02 * Math.max(1, seen[0][i]), "token " + i);
        total += seen[0][i];
      }
      assertEquals(200 * 4 * 4, total, 1, "each query of each head gives away 1");
    }
  }

  @Test
  void h2o_withoutObservation_refusesATextWithGaps() {
    try (LlamaContext context = context();
        LlamaSession session = context.newSession()) {
      session.append(text);
      session.evict(EvictionPolicy.parse("recent"), EvictionOptions.tokens(100));
      IllegalStateException e =
          assertThrows(
              IllegalStateException.class,
              () -> session.evict(EvictionPolicy.parse("h2o"), EvictionOptions.tokens(50)));
      assertTrue(e.getMessage().contains("observeAttention"), e.getMessage());
      assertEquals(100, session.size());
    }
  }

  @Test
  void window_stopsAtAGap() {
    try (LlamaContext context = context();
        LlamaSession session = context.newSession()) {
      session.append(text);
      // The last 8 stay, and before them there is a gap.
      session.evict(
          new Own(EvictionNeeds.nothing(), EvictionTest::earlierBetter),
          EvictionOptions.tokens(60));
      EvictionReport report =
          session.evict(EvictionPolicy.parse("snapkv:32/5"), EvictionOptions.tokens(40));
      assertEquals(7, report.readAgain());
      assertEquals(200, session.position());
    }
  }

  private static float[] earlierBetter(EvictionView view) {
    float[] scores = new float[view.size()];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = -i;
    }
    return scores;
  }

  @Test
  void repeat_needsAFreeCell() {
    try (LlamaContext context = model.newContext(options(256).withMaxSequences(1));
        LlamaSession session = context.newSession()) {
      int[] full = new int[context.sequenceTokens()];
      for (int i = 0; i < full.length; i++) {
        full[i] = text[i % text.length];
      }
      session.append(full);
      assertThrows(
          KvCacheFullException.class,
          () -> session.evict(EvictionPolicy.parse("kvzip"), EvictionOptions.tokens(50)));
      assertEquals(full.length, session.size());
      session.evict(EvictionPolicy.parse("tova"), EvictionOptions.tokens(50));
      assertEquals(50, session.size());
    }
  }

  @Test
  void evict_refusesAScalingThatFollowsTheLength() {
    try (LlamaContext context =
            model.newContext(
                options(1024).withMaxSequences(1).withRopeScaling(RopeScaling.dynamic()));
        LlamaSession session = context.newSession()) {
      session.append(text);
      assertThrows(
          UnsupportedOperationForModelException.class,
          () -> session.evict(EvictionPolicy.parse("recent"), EvictionOptions.tokens(50)));
    }
  }

  @Test
  void attention_cannotBeObservedWithoutFlashAttention_butKeysCanBeRead() {
    try (LlamaContext context =
            model.newContext(options(1024).withFlashAttention(FlashAttention.OFF));
        LlamaSession session = context.newSession()) {
      session.append(text);
      assertThrows(
          UnsupportedOperationForModelException.class,
          () -> session.evict(EvictionPolicy.parse("tova"), EvictionOptions.tokens(50)));
      assertArrayEquals(text, session.tokens());
      assertEquals(200, session.position());
      session.evict(EvictionPolicy.parse("recent"), EvictionOptions.tokens(50));
      assertEquals(50, session.size());
    }
  }
}
