package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.error.KvCacheFullException;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.error.StateFormatException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.gguf.SyntheticModel;
import dev.gatun.kv.KvCacheType;
import dev.gatun.rope.Dynamic;
import dev.gatun.rope.RopeScaling;
import dev.gatun.sampling.Sampler;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Chunks that were read alone and put together, against a full prefill. */
class ChunkStoreTest {
  private static final int CHUNKS = 8;
  private static final int SIZE = 48;
  private static LlamaModel model;
  private static int[] prose;
  private static ChunkStore store;

  @TempDir Path folder;

  @BeforeAll
  static void load() throws IOException {
    model = LlamaModel.load(TestModels.tiny());
    Tokenizer tokenizer = model.tokenizer();
    prose = tokenizer.encode(Files.readString(TestModels.heldout()), false, false);
    store = ChunkStore.behind(tokenizer.encode("<|user|>\n", true, true));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static ContextOptions options(RopeScaling scaling) {
    return ContextOptions.defaults()
        .withContextTokens(640)
        .withThreads(1)
        .withBatchThreads(1)
        .withRopeScaling(scaling);
  }

  private static int[] chunk(int index) {
    return Arrays.copyOfRange(prose, 500 + index * 1000, 500 + index * 1000 + SIZE);
  }

  private static List<CachedChunk> chunks(LlamaSession session) {
    List<CachedChunk> chunks = new ArrayList<>();
    for (int i = 0; i < CHUNKS; i++) {
      chunks.add(store.read(session, chunk(i)));
    }
    return chunks;
  }

  @Test
  void questionsAboutChunks_areAnsweredAsAfterAFullPrefill() {
    Tokenizer tokenizer = model.tokenizer();
    GenerationOptions greedy =
        GenerationOptions.defaults().withSampler(Sampler.greedy()).withMaxTokens(12);
    Random random = new Random(3);
    int full = 0;
    int reused = 0;
    double divergence = 0;
    int questions = 12;
    try (LlamaContext context = model.newContext(options(RopeScaling.yarn(2)));
        LlamaSession session = context.newSession();
        LlamaContext other = model.newContext(options(RopeScaling.yarn(2)));
        LlamaSession reference = other.newSession()) {
      for (int i = 0; i < questions; i++) {
        String key = Integer.toString(10_000 + random.nextInt(90_000));
        int[] fact = tokenizer.encode(" The pass key of Mira is " + key + ". ", false, false);
        int[] question =
            tokenizer.encode(
                "\nWhat is the pass key of Mira?<|end|>\n<|assistant|>\nThe pass key of Mira is ",
                false,
                true);
        int[] answer = tokenizer.encode(key + ".", false, false);
        int holds = random.nextInt(CHUNKS);
        session.clear();
        List<CachedChunk> chunks = new ArrayList<>();
        for (int c = 0; c < CHUNKS; c++) {
          int begin = random.nextInt(prose.length - SIZE);
          int[] tokens = Arrays.copyOfRange(prose, begin, begin + SIZE);
          if (c == holds) {
            System.arraycopy(fact, 0, tokens, random.nextInt(SIZE - fact.length), fact.length);
          }
          chunks.add(store.read(session, tokens));
        }
        Collections.shuffle(chunks, random);
        ChunkReport report =
            store.assemble(session, chunks, ChunkOptions.defaults().withRecompute(1));
        assertEquals(CHUNKS, report.recomputedTokens());
        assertEquals(CHUNKS * (SIZE - 1), report.reusedTokens());
        int[] both = Arrays.copyOf(question, question.length + answer.length);
        System.arraycopy(answer, 0, both, question.length, answer.length);
        divergence +=
            ChunkStore.compareWithFullPrefill(session, reference, both).mean() / questions;
        reference.append(session.tokens());
        assertEquals(reference.position(), session.position());
        reference.append(question);
        session.append(question);
        full += answer(reference, greedy).contains(key) ? 1 : 0;
        reused += answer(session, greedy).contains(key) ? 1 : 0;
        reference.clear();
      }
    }
    System.out.printf(
        "%d chunks of %d tokens, one recomputed: %d of %d answered, full prefill %d, KL %.4f%n",
        CHUNKS, SIZE, reused, questions, full, divergence);
    assertTrue(full >= questions - 1, "the full prefill answers " + full);
    assertTrue(reused >= full - 1, "with chunks " + reused);
    double mean = divergence;
    assertTrue(mean < 0.02, () -> "KL " + mean);
    assertTrue(mean > 1e-6, "chunks do not know each other: KL " + mean);
  }

  private static String answer(LlamaSession session, GenerationOptions options) {
    try (Generation generation = session.generate(options)) {
      return generation.text();
    }
  }

  static List<RopeScaling> scalings() {
    return List.of(
        RopeScaling.yarn(3),
        RopeScaling.linear(3),
        RopeScaling.ntkAware(3),
        RopeScaling.selfExtend(),
        RopeScaling.rerope(),
        RopeScaling.leakyReRope(),
        RopeScaling.dualChunk());
  }

  @ParameterizedTest
  @MethodSource("scalings")
  void aChunkReadAgainAsAWhole_isAFullPrefill(RopeScaling scaling) {
    try (LlamaContext context = model.newContext(options(scaling));
        LlamaSession session = context.newSession();
        LlamaContext other = model.newContext(options(scaling));
        LlamaSession reference = other.newSession()) {
      List<CachedChunk> chunks = chunks(session);
      Collections.reverse(chunks);
      int[] more = Arrays.copyOfRange(prose, 20_000, 20_080);
      store.assemble(session, chunks, ChunkOptions.defaults().withRecompute(SIZE));
      assertEquals(
          0, ChunkStore.compareWithFullPrefill(session, reference, more).mean(), 1e-5, "all");
      session.clear();
      ChunkReport report =
          store.assemble(session, chunks, ChunkOptions.defaults().withRecompute(0));
      assertEquals(0, report.recomputedTokens());
      ChunkDivergence none = ChunkStore.compareWithFullPrefill(session, reference, more);
      System.out.printf("%s: %s%n", scaling, none);
      assertTrue(none.mean() > 1e-5 && none.mean() < 0.3, none::toString);
      assertEquals(80, none.positions());
      assertEquals(0, reference.size());
      assertEquals(store.prefix().length + CHUNKS * SIZE, session.size());
    }
  }

  @Test
  void theFirstChunk_needsNoOther() {
    // Behind the prefix it stands where it was read.
    try (LlamaContext context = model.newContext(options(RopeScaling.none()));
        LlamaSession session = context.newSession();
        LlamaContext other = model.newContext(options(RopeScaling.none()));
        LlamaSession reference = other.newSession()) {
      CachedChunk chunk = store.read(session, chunk(0));
      store.assemble(session, List.of(chunk), ChunkOptions.defaults().withRecompute(0));
      int[] more = chunk(1);
      assertEquals(0, ChunkStore.compareWithFullPrefill(session, reference, more).mean(), 1e-7);
    }
  }

  @Test
  void withoutFlashAttention_chunksAreAssembledToo() {
    ContextOptions plain = options(RopeScaling.yarn(2)).withFlashAttention(FlashAttention.OFF);
    try (LlamaContext context = model.newContext(plain);
        LlamaSession session = context.newSession();
        LlamaContext other = model.newContext(plain);
        LlamaSession reference = other.newSession()) {
      List<CachedChunk> chunks = chunks(session);
      store.assemble(session, chunks, ChunkOptions.defaults().withRecompute(SIZE));
      int[] more = chunk(10);
      assertEquals(0, ChunkStore.compareWithFullPrefill(session, reference, more).mean(), 1e-4);
    }
  }

  @Test
  void chunksGoToOtherContexts_fromAFile() throws IOException {
    Path file = folder.resolve("chunks");
    try (FileChannel channel =
            FileChannel.open(
                file,
                StandardOpenOption.CREATE,
                StandardOpenOption.READ,
                StandardOpenOption.WRITE);
        Arena arena = Arena.ofShared();
        LlamaContext context =
            model.newContext(
                options(RopeScaling.yarn(3)).withMaxSequences(2).withUnifiedKv(false));
        LlamaSession unused = context.newSession();
        LlamaSession session = context.newSession();
        LlamaContext other = model.newContext(options(RopeScaling.yarn(3)));
        LlamaSession elsewhere = other.newSession()) {
      unused.append(chunk(7));
      MemorySegment mapped = channel.map(FileChannel.MapMode.READ_WRITE, 0, 4 << 20, arena);
      ChunkStore onDisk = store.withStorage(SegmentAllocator.slicingAllocator(mapped));
      List<CachedChunk> chunks = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        chunks.add(onDisk.read(elsewhere, chunk(i)));
      }
      store.assemble(elsewhere, chunks, ChunkOptions.defaults());
      chunks.add(chunks.getFirst()); // one may come twice
      session.append(store.prefix());
      store.assemble(session, chunks, ChunkOptions.defaults());
      assertEquals(store.prefix().length + 4 * SIZE, session.size());
      session.truncate(elsewhere.size());
      assertArrayEquals(elsewhere.tokens(), session.tokens());
      Differences.assertNear(
          "the same text",
          Differences.evaluate(elsewhere, chunk(5)),
          Differences.evaluate(session, chunk(5)),
          0.05);
    }
  }

  @Test
  void chunksWhoseMemoryWasFreed_areRefused() {
    try (LlamaContext context = model.newContext(options(RopeScaling.none()));
        LlamaSession session = context.newSession()) {
      CachedChunk chunk;
      try (Arena arena = Arena.ofConfined()) {
        chunk = store.withStorage(arena).read(session, chunk(0));
        store.assemble(session, List.of(chunk), ChunkOptions.defaults());
        session.truncate(store.prefix().length);
      }
      assertThrows(
          IllegalStateException.class,
          () -> store.assemble(session, List.of(chunk), ChunkOptions.defaults()));
      assertArrayEquals(store.prefix(), session.tokens());
    }
  }

  @Test
  void cancelled_nothingMoreThanThePrefixIsHeld() {
    try (LlamaContext context =
            model.newContext(options(RopeScaling.none()).withMicroBatchTokens(16));
        LlamaSession session = context.newSession();
        LlamaContext other = model.newContext(options(RopeScaling.none()));
        LlamaSession reference = other.newSession()) {
      List<Integer> progress = new ArrayList<>();
      CachedChunk chunk =
          store.read(
              session, chunk(0), Cancellation.never(), (done, total) -> progress.add(done + total));
      assertEquals(2 * SIZE, progress.getLast());
      Cancellation cancelled = Cancellation.create();
      cancelled.cancel();
      assertThrows(
          OperationCancelledException.class,
          () -> store.read(session, chunk(1), cancelled, (_, _) -> {}));
      assertArrayEquals(store.prefix(), session.tokens());
      ChunkOptions all = ChunkOptions.defaults().withRecompute(SIZE);
      assertThrows(
          OperationCancelledException.class,
          () -> store.assemble(session, List.of(chunk), all, cancelled));
      assertArrayEquals(store.prefix(), session.tokens());
      store.assemble(session, List.of(chunk), all);
      int[] held = session.tokens();
      assertThrows(
          OperationCancelledException.class,
          () -> ChunkStore.compareWithFullPrefill(session, reference, chunk(1), cancelled));
      assertArrayEquals(held, session.tokens());
      assertEquals(0, reference.size());
      ChunkDivergence same = ChunkStore.compareWithFullPrefill(session, reference, chunk(1));
      assertEquals(0, same.mean(), 1e-5);
      assertEquals(SIZE, same.positions());
    }
  }

  @Test
  void aPrefixThatWasNotReadToItsEnd_isReadFirst() {
    GenerationOptions one =
        GenerationOptions.defaults().withMaxTokens(1).withSampler(Sampler.greedy());
    try (LlamaContext context = model.newContext(options(RopeScaling.rerope()));
        LlamaSession session = context.newSession();
        LlamaContext other = model.newContext(options(RopeScaling.rerope()));
        LlamaSession reference = other.newSession()) {
      session.append(Arrays.copyOf(prose, 20));
      answer(session, one); // the last token is not read until the next call
      assertEquals(20, session.readTokens());
      ChunkStore store = ChunkStore.behind(session.tokens());
      List<CachedChunk> chunks = List.of(store.read(reference, chunk(1)));
      store.assemble(reference, chunks, ChunkOptions.defaults());

      store.assemble(session, chunks, ChunkOptions.defaults());

      assertArrayEquals(reference.tokens(), session.tokens());
      Differences.assertNear(
          "behind the same text",
          Differences.evaluate(reference, chunk(5)),
          Differences.evaluate(session, chunk(5)),
          0.01);
    }
  }

  @Test
  void noChunks_leaveThePrefix() {
    try (LlamaContext context = model.newContext(options(RopeScaling.none()));
        LlamaSession session = context.newSession()) {
      ChunkReport report = store.assemble(session, List.of(), ChunkOptions.defaults());

      assertEquals(0, report.reusedTokens() + report.recomputedTokens());
      assertArrayEquals(store.prefix(), session.tokens());
    }
  }

  @Test
  void tokensThatAreImpossible_doNotCount() {
    ChunkDivergence.Sum sum = new ChunkDivergence.Sum();
    float[] logits = {1, Float.NEGATIVE_INFINITY, 2};
    sum.add(logits, logits);

    assertEquals(new ChunkDivergence(0, 0, 1, 1), sum.result());
  }

  @Test
  void whatDoesNotFit_isRefused_andNothingChanges() {
    try (LlamaContext context = model.newContext(options(RopeScaling.none()));
        LlamaSession session = context.newSession();
        LlamaContext otherType =
            model.newContext(options(RopeScaling.none()).withKeyType(KvCacheType.Q8_0));
        LlamaSession quantised = otherType.newSession();
        LlamaContext otherScaling = model.newContext(options(RopeScaling.linear(2)));
        LlamaSession scaled = otherScaling.newSession()) {
      List<CachedChunk> chunks = chunks(session);
      ChunkOptions options = ChunkOptions.defaults();
      for (LlamaSession wrong : List.of(quantised, scaled)) {
        assertThrows(StateFormatException.class, () -> store.assemble(wrong, chunks, options));
        assertEquals(0, wrong.size());
      }
      ChunkStore other = ChunkStore.behind(1);
      session.clear();
      assertThrows(StateFormatException.class, () -> other.assemble(session, chunks, options));
      List<CachedChunk> many = new ArrayList<>(chunks);
      many.addAll(chunks);
      assertThrows(KvCacheFullException.class, () -> store.assemble(session, many, options));
      assertEquals(0, session.size());
      session.append(chunk(0));
      assertThrows(IllegalStateException.class, () -> store.assemble(session, chunks, options));
      assertThrows(IllegalStateException.class, () -> store.read(session, chunk(1)));
      assertArrayEquals(chunk(0), session.tokens());
      assertThrows(IllegalArgumentException.class, () -> store.read(session));
      assertThrows(IllegalArgumentException.class, ChunkStore::behind);
    }
    try (LlamaContext context = model.newContext(options(new Dynamic(Dynamic.Family.YARN)));
        LlamaSession session = context.newSession()) {
      assertThrows(
          UnsupportedOperationForModelException.class, () -> store.read(session, chunk(0)));
    }
    for (String shape : List.of("gemma3-tiny", "jamba-tiny", "mamba-tiny")) {
      Path file = folder.resolve(shape + ".gguf");
      SyntheticModel.write(SyntheticModel.Shape.named(shape), TestModels.tiny(), file, 3);
      try (LlamaModel refused = LlamaModel.load(file);
          LlamaContext context = refused.newContext(options(RopeScaling.none()));
          LlamaSession session = context.newSession()) {
        assertThrows(
            UnsupportedOperationForModelException.class, () -> store.read(session, chunk(0)));
      }
    }
  }
}
