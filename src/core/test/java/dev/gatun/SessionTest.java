package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.error.ContextCreateException;
import dev.gatun.error.KvCacheFullException;
import dev.gatun.error.ModelLoadException;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.rope.RopeScaling;
import dev.gatun.sampling.Sampler;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What a session and its generations hold and return, on the tiny model. */
class SessionTest {
  private static final GenerationOptions GREEDY =
      GenerationOptions.defaults().withSampler(Sampler.greedy()).withMaxTokens(24);
  private static LlamaModel model;

  @BeforeAll
  static void load() {
    model = LlamaModel.load(TestModels.tiny());
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static ContextOptions options(int tokens) {
    return ContextOptions.defaults().withContextTokens(tokens).withThreads(1).withBatchThreads(1);
  }

  private static String ask(LlamaSession session, String document, String question) {
    return session
        .generate("<|user|>\n" + document + "\n" + question + "<|end|>\n<|assistant|>\n", GREEDY)
        .text();
  }

  @Test
  void answersAQuestion_fromTheTrainedLength() {
    try (LlamaContext context = model.newContext(options(256));
        LlamaSession session = context.newSession()) {
      String answer =
          ask(
              session,
              "The pass key of Mira is 48213. Remember it.",
              "What is the pass key of Mira?");
      assertEquals("The pass key of Mira is 48213.", answer.strip());
    }
  }

  @Test
  void answersAQuestion_fromFourTimesTheTrainedLength_withYarn() throws Exception {
    String prose = Files.readString(TestModels.heldout());
    String document =
        prose.substring(1000, 2500)
            + " The pass key of Mira is 48213. Remember it. "
            + prose.substring(2500, 3600);
    int tokens = model.tokenizer().encode(document).length;
    assertTrue(tokens > 3 * 256 && tokens < 960, () -> tokens + " tokens");
    ContextOptions stretched = options(1024).withRopeScaling(RopeScaling.yarn(4));
    try (LlamaContext context = model.newContext(stretched);
        LlamaSession session = context.newSession()) {
      String answer = ask(session, document, "What is the pass key of Mira?");
      assertEquals("The pass key of Mira is 48213.", answer.strip());
    }
  }

  @Test
  void generationInPieces_equalsItsText_andEndsAtTheBudget() {
    try (LlamaContext context = model.newContext(options(256));
        LlamaSession session = context.newSession()) {
      Generation generation = session.generate("It was", GREEDY);
      StringBuilder text = new StringBuilder();
      int pieces = 0;
      for (Piece piece : generation) {
        text.append(piece.text());
        pieces++;
      }
      assertEquals(24, pieces);
      assertEquals(StopReason.TOKEN_BUDGET, generation.stopReason().orElseThrow());
      TokenUsage usage = generation.usage();
      assertEquals(24, usage.completionTokens());
      assertEquals(model.tokenizer().encode("It was", true, true).length, usage.promptTokens());
      assertEquals(usage.promptTokens() + 24, session.position());
      try (LlamaContext second = model.newContext(options(256));
          LlamaSession again = second.newSession()) {
        assertEquals(again.generate("It was", GREEDY).text(), text.toString());
      }
    }
  }

  @Test
  void stopString_endsTheText_beforeIt() {
    try (LlamaContext context = model.newContext(options(256));
        LlamaSession session = context.newSession()) {
      String whole = session.generate("It was", GREEDY).text();
      session.clear();
      String stop = whole.substring(10, 14);
      Generation generation = session.generate("It was", GREEDY.withStops(List.of(stop)));
      assertEquals(whole.substring(0, whole.indexOf(stop)), generation.text());
      assertEquals(StopReason.STOP_STRING, generation.stopReason().orElseThrow());
    }
  }

  @Test
  void logProbabilities_areThoseOfTheLogits() {
    try (LlamaContext context = model.newContext(options(256));
        LlamaSession session = context.newSession()) {
      session.append("It was");
      MemorySegment logits = session.logits();
      float[] values = logits.toArray(ValueLayout.JAVA_FLOAT);
      double max = Double.NEGATIVE_INFINITY;
      int best = -1;
      for (int i = 0; i < values.length; i++) {
        if (values[i] > max) {
          max = values[i];
          best = i;
        }
      }
      double sum = 0;
      for (float value : values) {
        sum += Math.exp(value - max);
      }
      Piece piece =
          session.generate(GREEDY.withMaxTokens(1).withLogProbabilities(5)).next().orElseThrow();
      assertEquals(best, piece.token());
      assertEquals(-Math.log(sum), piece.logProbability().orElseThrow(), 1e-5);
      assertEquals(5, piece.alternatives().size());
      assertEquals(best, piece.alternatives().getFirst().token());
      assertTrue(
          piece.alternatives().stream()
              .map(TokenProbability::logProbability)
              .sorted(Comparator.reverseOrder())
              .toList()
              .equals(
                  piece.alternatives().stream().map(TokenProbability::logProbability).toList()));
    }
  }

  @Test
  void logitsInPlace_areReadOnly_andOutOfRangeReadsAreRefused() {
    try (LlamaContext context = model.newContext(options(256));
        LlamaSession session = context.newSession()) {
      session.append("It was");
      MemorySegment logits = session.logits();
      assertEquals(4L * model.vocabularySize(), logits.byteSize());
      assertTrue(logits.isReadOnly());
      assertThrows(
          IndexOutOfBoundsException.class,
          () -> logits.getAtIndex(ValueLayout.JAVA_FLOAT, model.vocabularySize()));
    }
  }

  @Test
  void truncateAndAppend_equalsAFreshSession() {
    try (LlamaContext context = model.newContext(options(256).withMaxSequences(2));
        LlamaSession one = context.newSession();
        LlamaSession two = context.newSession()) {
      one.append("Lena lives in Bath. Felix works as a sailor.");
      int keep = model.tokenizer().encode("Lena lives in Bath.", true, true).length;
      one.truncate(keep);
      one.append("\nWhere does Lena live?");
      two.append("Lena lives in Bath.");
      two.append("\nWhere does Lena live?");
      assertArrayEquals(two.tokens(), one.tokens());
      assertEquals(two.generate(GREEDY).text(), one.generate(GREEDY).text());
    }
  }

  @Test
  void forkedSessions_goOnIndependently() {
    try (LlamaContext context = model.newContext(options(256).withMaxSequences(2));
        LlamaSession one = context.newSession()) {
      one.append("Lena lives in Bath. Felix works as a sailor.\n");
      LlamaSession two = one.fork();
      String lena = one.generate("Where does Lena live?\n", GREEDY.withMaxTokens(8)).text();
      String felix = two.generate("What is the work of Felix?\n", GREEDY.withMaxTokens(8)).text();
      assertTrue(lena.contains("Bath"), lena);
      assertTrue(felix.contains("sailor"), felix);
    }
  }

  @Test
  void interleavedSessions_sampleTheirOwnLogits() {
    try (LlamaContext context = model.newContext(options(512).withMaxSequences(2));
        LlamaSession one = context.newSession();
        LlamaSession two = context.newSession()) {
      String alone = one.generate("It was", GREEDY).text();
      one.clear();
      Generation first = one.generate("It was", GREEDY);
      Generation second = two.generate("Lena lives", GREEDY);
      StringBuilder text = new StringBuilder();
      for (int i = 0; i < 24; i++) {
        first.next().ifPresent(piece -> text.append(piece.text()));
        second.next();
      }
      assertEquals(alone, text.toString());
    }
  }

  @Test
  void fullContext_isRefusedBefore_andEndsAGeneration() {
    try (LlamaContext context = model.newContext(options(256));
        LlamaSession session = context.newSession()) {
      int capacity = context.sequenceTokens();
      int[] text = new int[capacity + 1];
      Arrays.fill(text, 300);
      KvCacheFullException e = assertThrows(KvCacheFullException.class, () -> session.append(text));
      assertTrue(e.getMessage().contains("raise contextTokens to at least"), e.getMessage());
      assertEquals(0, session.position());
      Generation generation =
          session.generate(
              Arrays.copyOf(text, capacity - 4),
              GREEDY.withMaxTokens(100).withIgnoreEndOfGeneration(true));
      generation.text();
      assertEquals(StopReason.CONTEXT_FULL, generation.stopReason().orElseThrow());
      assertEquals(capacity, session.position());
    }
  }

  @Test
  void prefillProgress_countsToTheEnd() {
    try (LlamaContext context = model.newContext(options(512).withBatchTokens(64));
        LlamaSession session = context.newSession()) {
      int[] text = new int[300];
      Arrays.fill(text, 300);
      AtomicInteger calls = new AtomicInteger();
      AtomicInteger last = new AtomicInteger();
      session.append(
          text,
          Cancellation.never(),
          (done, total) -> {
            assertEquals(300, total);
            assertTrue(done > last.get());
            last.set(done);
            calls.incrementAndGet();
          });
      assertEquals(300, last.get());
      assertEquals(5, calls.get());
    }
  }

  @Test
  void badArguments_areRefusedBeforeNativeCode() {
    try (LlamaContext context = model.newContext(options(256));
        LlamaSession session = context.newSession()) {
      assertThrows(IndexOutOfBoundsException.class, () -> session.append(-1));
      assertThrows(IndexOutOfBoundsException.class, () -> session.append(model.vocabularySize()));
      assertThrows(IllegalStateException.class, session::logits);
      assertThrows(IllegalStateException.class, () -> session.generate(GREEDY));
      assertThrows(IndexOutOfBoundsException.class, () -> session.truncate(1));
    }
    assertThrows(IllegalArgumentException.class, () -> options(1));
    assertThrows(
        ContextCreateException.class, () -> model.newContext(options(2_000_000_000)).close());
    ModelLoadException missing =
        assertThrows(ModelLoadException.class, () -> LlamaModel.load(Path.of("no-such-file.gguf")));
    assertTrue(missing.getMessage().contains("check the path"));
    assertThrows(ModelLoadException.class, () -> LlamaModel.load(Path.of(".")));
  }

  @Test
  void loadProgress_reachesTheEnd_andCanCancel() {
    AtomicInteger calls = new AtomicInteger();
    LlamaModel.load(
            TestModels.tiny(),
            ModelOptions.defaults()
                .withProgress(
                    fraction -> {
                      assertTrue(fraction >= 0 && fraction <= 1);
                      calls.incrementAndGet();
                      return true;
                    }))
        .close();
    assertTrue(calls.get() > 1);
    assertThrows(
        OperationCancelledException.class,
        () ->
            LlamaModel.load(
                TestModels.tiny(), ModelOptions.defaults().withProgress(fraction -> false)));
    Cancellation cancellation = Cancellation.create();
    cancellation.cancel();
    assertThrows(
        OperationCancelledException.class,
        () ->
            LlamaModel.load(
                TestModels.tiny(), ModelOptions.defaults().withCancellation(cancellation)));
  }

  @Test
  void memory_isReportedByDevice() {
    try (LlamaContext context = model.newContext(options(1024))) {
      long cells = context.memory().stream().mapToLong(MemoryUse::contextBytes).sum();
      // 4 layers x (K and V) x 2 KV heads x 64 wide x 2 bytes
      assertEquals(1024L * 4 * 2 * 2 * 64 * 2, cells);
      assertTrue(context.memory().stream().mapToLong(MemoryUse::modelBytes).sum() > 5_000_000);
    }
  }

  @Test
  void aFullSession_generatesNothing_andHoldsNoMoreThanFits() {
    try (LlamaContext context = model.newContext(options(256));
        LlamaSession session = context.newSession()) {
      int[] ids = new int[256];
      Arrays.fill(ids, 300);
      session.append(ids);
      Generation generation = session.generate(GREEDY);
      assertEquals("", generation.text());
      assertEquals(StopReason.CONTEXT_FULL, generation.stopReason().orElseThrow());
      assertEquals(256, session.position());
      assertEquals(0, session.remaining());
      session.append(new int[0]);
      session.discard(0, 10);
      assertEquals(10, session.remaining());
    }
  }

  @Test
  void aForkIntoItsOwnPool_isWhole_beforeAnythingIsDecoded() {
    ContextOptions pools = options(512).withMaxSequences(2).withUnifiedKv(false);
    int[] text = model.tokenizer().encode("The pass key of Mira is 48213.", true, true);
    int[] other = model.tokenizer().encode("Lena lives in Bath, she said.", true, true);
    try (LlamaContext context = model.newContext(pools);
        LlamaSession session = context.newSession()) {
      session.append(other);
      float[] otherLogits = session.logits().toArray(ValueLayout.JAVA_FLOAT);
      SessionState otherState = session.save();
      session.clear();
      session.append(text);
      float[] logits = session.logits().toArray(ValueLayout.JAVA_FLOAT);
      try (LlamaSession fork = session.fork()) {
        SessionState state = fork.save();
        fork.restore(otherState);
        assertArrayEquals(otherLogits, fork.logits().toArray(ValueLayout.JAVA_FLOAT), 0.05f);
        fork.restore(state);
        assertArrayEquals(logits, fork.logits().toArray(ValueLayout.JAVA_FLOAT), 0.05f);
      }
      try (LlamaSession fork = session.fork()) {
        session.restore(otherState);
        assertArrayEquals(logits, fork.logits().toArray(ValueLayout.JAVA_FLOAT), 0.05f);
      }
    }
  }

  @Test
  void discard_upToATokenThatWasNotReadYet_leavesNoGapBeforeIt() {
    try (LlamaContext context = model.newContext(options(256));
        LlamaSession session = context.newSession()) {
      session.append(3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
      session.generate(GREEDY.withMaxTokens(3)).text(); // the last one is read with the next call
      BitSet keep = new BitSet();
      keep.set(0);
      keep.set(5, session.size());
      session.retain(keep);
      session.discard(1, session.size() - 1);
      assertArrayEquals(new int[] {0, 1}, session.positions());
      session.append(20);
      int[] tokens = session.tokens();
      double[] logits = Differences.copy(session.logits());
      session.clear();
      session.append(tokens);
      assertTrue(Differences.max(Differences.copy(session.logits()), logits) < 0.05);
    }
  }
}
