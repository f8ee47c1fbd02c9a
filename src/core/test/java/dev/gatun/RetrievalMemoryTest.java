package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.error.AlreadyClosedException;
import dev.gatun.error.CallbackException;
import dev.gatun.error.LlamaException;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.eval.MemoryAnswer;
import dev.gatun.eval.MemoryResult;
import dev.gatun.eval.MemoryRun;
import dev.gatun.gguf.SyntheticModel;
import dev.gatun.internal.NativeCells;
import dev.gatun.kv.EvictionOptions;
import dev.gatun.kv.EvictionReport;
import dev.gatun.kv.H2o;
import dev.gatun.kv.Spans;
import dev.gatun.rope.RopeScaling;
import dev.gatun.sampling.Sampler;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A text longer than the cache, and what comes back of it. */
class RetrievalMemoryTest {
  private static final int CELLS = 512;
  private static final RetrievalOptions SMALL =
      RetrievalOptions.defaults()
          .withResidentTokens(CELLS)
          .withRecallTokens(256)
          .withCandidateTokens(2048);
  private static LlamaModel model;
  private static int[] prose;

  @TempDir Path folder;

  @BeforeAll
  static void load() throws IOException {
    model = LlamaModel.load(TestModels.tiny());
    String text = Files.readString(TestModels.heldout()).substring(0, 20_000);
    prose = model.tokenizer().encode(text, false, false);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static LlamaContext context(RopeScaling scaling) {
    return model.newContext(
        ContextOptions.defaults()
            .withContextTokens(CELLS)
            .withMaxSequences(3)
            .withUnifiedKv(true)
            .withThreads(1)
            .withBatchThreads(1)
            .withRopeScaling(scaling));
  }

  private static LlamaContext context() {
    return context(RopeScaling.rerope());
  }

  private static MemoryResult run(RopeScaling scaling, RetrievalOptions options)
      throws IOException {
    try (LlamaContext context = context(scaling)) {
      return MemoryRun.of(context, Files.readString(TestModels.heldout()), 8_000, 6, 3)
          .run(
              options,
              Cancellation.never(),
              new MemoryRun.Listener() {
                @Override
                public void onRead(int done, int total) {}

                @Override
                public void onAnswer(MemoryAnswer answer) {}
              });
    }
  }

  @Test
  void factsOfATextSixteenTimesTheCache_areFound() throws IOException {
    MemoryResult result = run(RopeScaling.rerope(), SMALL);

    assertTrue(result.tokens() >= 8_000);
    assertEquals(6, result.recalled(), () -> result.answers().toString());
    assertEquals(6, result.found(), () -> result.answers().toString());
    assertTrue(result.residentCells() <= CELLS, () -> result.residentCells() + " cells");
    assertTrue(result.memoryBytes() >= 8_000L * 2048, () -> result.memoryBytes() + " bytes");
  }

  @Test
  void attentionKeysAlone_findThemToo() throws IOException {
    MemoryResult result =
        run(RopeScaling.rerope(), SMALL.withKeys(RetrievalOptions.Keys.ATTENTION));

    assertTrue(result.recalled() >= 5, () -> result.answers().toString());
  }

  @Test
  void pagesThatAreTurnedToTheirPlaces_areFoundUnderYarn() throws IOException {
    MemoryResult result = run(RopeScaling.yarn(2), SMALL);

    assertTrue(result.recalled() >= 5, () -> result.answers().toString());
    assertTrue(result.found() >= 4, () -> result.answers().toString());
  }

  @Test
  void wordsWithoutAttention_workWhereItCannotBeObserved() {
    try (LlamaContext context =
            model.newContext(
                ContextOptions.defaults()
                    .withContextTokens(CELLS)
                    .withMaxSequences(2)
                    .withThreads(1)
                    .withBatchThreads(1)
                    .withFlashAttention(FlashAttention.OFF));
        LlamaSession session = context.newSession()) {
      assertThrows(
          UnsupportedOperationForModelException.class,
          () -> RetrievalMemory.over(context, SMALL).close());
      try (RetrievalMemory memory =
          RetrievalMemory.over(
              context, SMALL.withKeys(RetrievalOptions.Keys.WORDS).withCandidateTokens(0))) {
        memory.append(prose);
        memory.append(" The pass key of Felix is 48213.");
        int fact = memory.tokens() - 4;
        memory.append(prose);
        int[] question = model.tokenizer().encode("\nWhat is the pass key of Felix?\n");

        RetrievalReport report = memory.recall(session, question);

        assertEquals(0, report.candidates());
        assertTrue(
            report.recalled().stream().anyMatch(r -> r.from() <= fact && fact < r.to()),
            report::toString);
      }
    }
  }

  @Test
  void whatComesBack_isWhatWasRead_atItsNewPlace() {
    int[] some = Arrays.copyOf(prose, 150);
    try (LlamaContext context = context();
        LlamaSession session = context.newSession();
        LlamaSession whole = context.newSession();
        RetrievalMemory memory = RetrievalMemory.over(context, SMALL)) {
      memory.append(some);
      RetrievalReport report = memory.recall(session, prose[200]);
      whole.append(model.tokenizer().bos().getAsInt());
      whole.append(some);

      assertEquals(150, report.recalledTokens());
      assertArrayEquals(whole.tokens(), session.tokens());
      assertArrayEquals(whole.positions(), session.positions());
      // read in one segment, so behind the same tokens; other cells, so other sums by a rounding
      assertArrayEquals(halves(whole), halves(session), 1e-2);
    }
  }

  private static double[] halves(LlamaSession session) {
    session.enter();
    try (Arena arena = Arena.ofConfined()) {
      short[] rows =
          NativeCells.read(
                  session.nativeContext(), session.cells().sequence(), 0, NativeCells.END, arena)
              .toArray(ValueLayout.JAVA_SHORT);
      double[] values = new double[rows.length];
      Arrays.setAll(values, i -> Float.float16ToFloat(rows[i]));
      return values;
    } finally {
      session.exit();
    }
  }

  @Test
  void pagesInAFile_givesTheSameAnswers_andTheFileIsGoneAfterwards() throws IOException {
    Path file = folder.resolve("pages");

    MemoryResult onDisk = run(RopeScaling.rerope(), SMALL.withFile(file));
    MemoryResult inMemory = run(RopeScaling.rerope(), SMALL);

    assertFalse(Files.exists(file));
    assertEquals(0, onDisk.memoryBytes());
    assertTrue(onDisk.keyBytes() > 0);
    assertEquals(inMemory.memoryBytes(), onDisk.fileBytes());
    assertEquals(
        inMemory.answers().stream().map(MemoryAnswer::answer).toList(),
        onDisk.answers().stream().map(MemoryAnswer::answer).toList());
  }

  @Test
  void aFileThatSomethingElseChangedOrCut_isRefused() throws IOException {
    Path named = folder.resolve("pages");
    try (LlamaContext context = context();
        LlamaSession session = context.newSession();
        RetrievalMemory memory = RetrievalMemory.over(context, SMALL.withFile(named))) {
      memory.append(Arrays.copyOf(prose, 150));
      memory.flush();
      Path file = open(named);
      byte[] bytes = Files.readAllBytes(file);
      assertEquals(memory.fileBytes(), bytes.length);
      bytes[bytes.length / 2] ^= 1;
      Files.write(file, bytes, StandardOpenOption.WRITE);
      LlamaException changed =
          assertThrows(LlamaException.class, () -> memory.recall(session, prose[200]));
      assertTrue(changed.getMessage().contains("not what was written"), changed::getMessage);

      Files.write(
          file,
          Arrays.copyOf(bytes, bytes.length / 2),
          StandardOpenOption.WRITE,
          StandardOpenOption.TRUNCATE_EXISTING);
      LlamaException cut =
          assertThrows(LlamaException.class, () -> memory.recall(session, prose[200]));
      assertTrue(cut.getMessage().contains("were written"), cut::getMessage);
    }
  }

  /** A file that is deleted on close has no name on Linux while it is open. */
  private static Path open(Path named) throws IOException {
    Path descriptors = Path.of("/proc/self/fd");
    Assumptions.assumeTrue(Files.isDirectory(descriptors));
    try (Stream<Path> all = Files.list(descriptors)) {
      for (Path descriptor : all.toList()) {
        if (Files.isSymbolicLink(descriptor)
            && Files.readSymbolicLink(descriptor).toString().startsWith(named.toString())) {
          return descriptor;
        }
      }
    }
    throw new AssertionError(named + " is not open");
  }

  @Test
  void aFileThatExists_isNotOverwritten() throws IOException {
    Path file = folder.resolve("mine");
    Files.writeString(file, "mine");
    try (LlamaContext context = context()) {
      assertThrows(
          LlamaException.class, () -> RetrievalMemory.over(context, SMALL.withFile(file)).close());
      assertEquals("mine", Files.readString(file));
    }
  }

  @Test
  void ask_leavesPagesQuestionAndTheBestAnswerInTheSession() {
    try (LlamaContext context = context();
        LlamaSession session = context.newSession();
        RetrievalMemory memory = RetrievalMemory.over(context, SMALL)) {
      memory.append(prose);
      memory.append(" Felix works as a sailor.");
      memory.append(prose);
      int[] question = model.tokenizer().encode("\nWhat is the work of Felix?\n", false, true);

      RetrievalAnswer answer =
          memory.ask(
              session,
              question,
              GenerationOptions.defaults().withSampler(Sampler.greedy()).withMaxTokens(12));

      assertTrue(answer.text().contains("sailor"), answer::toString);
      assertTrue(answer.attempts() > 1 && answer.logProbability() <= 0, answer::toString);
      String held = model.tokenizer().decode(session.tokens());
      int pages = 1 + answer.report().recalledTokens();
      assertArrayEquals(
          question, Arrays.copyOfRange(session.tokens(), pages, pages + question.length));
      assertTrue(held.contains("Felix works as a sailor."), held);
      assertTrue(held.stripTrailing().endsWith(answer.text().strip()), held);
      assertTrue(memory.residentCells() <= CELLS, () -> memory.residentCells() + " cells");
    }
  }

  @Test
  void aCancelledReading_goesOnWhereItStopped() {
    try (LlamaContext context = context();
        LlamaSession session = context.newSession();
        RetrievalMemory memory = RetrievalMemory.over(context, SMALL)) {
      Cancellation cancellation = Cancellation.create();
      cancellation.cancel();
      assertThrows(OperationCancelledException.class, () -> memory.append(prose, cancellation));
      assertEquals(0, memory.pages());

      memory.append(" Felix works as a sailor.");
      RetrievalReport report =
          memory.recall(session, model.tokenizer().encode("\nWhat is the work of Felix?\n"));

      assertEquals(memory.pages(), report.pages());
      int fact = memory.tokens() - 4;
      assertTrue(
          report.recalled().stream().anyMatch(r -> r.from() <= fact && fact < r.to()),
          report::toString);
    }
  }

  @Test
  void muchTextThatACancelledCallLeft_isReadByTheNextQuestion() {
    try (LlamaContext context = context();
        LlamaSession session = context.newSession();
        RetrievalMemory memory = RetrievalMemory.over(context, SMALL)) {
      Cancellation cancellation = Cancellation.create();
      cancellation.cancel();
      assertThrows(OperationCancelledException.class, () -> memory.append(prose, cancellation));

      RetrievalReport report = memory.recall(session, 5, 6);

      assertEquals(prose.length, memory.tokens());
      assertTrue(report.pages() >= prose.length / 64, report::toString);
    }
  }

  @Test
  void aCancelledQuestion_isNotSearchedFor() {
    try (LlamaContext context = context();
        LlamaSession session = context.newSession();
        RetrievalMemory memory = RetrievalMemory.over(context, SMALL)) {
      memory.append(prose);
      memory.flush();
      int cells = memory.residentCells();
      Cancellation cancellation = Cancellation.create();
      cancellation.cancel();
      GenerationOptions options = GenerationOptions.defaults().withCancellation(cancellation);
      assertThrows(
          OperationCancelledException.class, () -> memory.ask(session, new int[] {5, 6}, options));
      assertThrows(
          OperationCancelledException.class,
          () -> memory.recall(session, new int[] {5, 6}, cancellation));

      assertEquals(cells, memory.residentCells(), "candidates were looked at");
      assertTrue(memory.recall(session, 5, 6).rounds() > 0);
    }
  }

  @Test
  void aCloseFromACallback_closesNothing() {
    try (LlamaContext context = context();
        LlamaSession session = context.newSession()) {
      RetrievalMemory memory = RetrievalMemory.over(context, SMALL);
      memory.append(prose);
      assertThrows(
          CallbackException.class,
          () -> session.append(new int[] {5, 6}, Cancellation.never(), (_, _) -> memory.close()));

      assertTrue(memory.recall(session, 5, 6).recalledPages() > 0);
      memory.close();
      context.newSession().close(); // the sequence was given back
    }
  }

  @Test
  void aSecondThread_isRefusedAndChangesNothing() {
    AtomicReference<Throwable> thrown = new AtomicReference<>();
    try (LlamaContext context = context();
        LlamaSession session = context.newSession();
        RetrievalMemory memory = RetrievalMemory.over(context, SMALL)) {
      Thread second =
          new Thread(
              () ->
                  thrown.set(
                      assertThrows(WrongThreadException.class, () -> memory.append(5, 6, 7))));
      session.append(
          new int[] {5, 6},
          Cancellation.never(),
          (_, _) -> {
            second.start();
            join(second);
          });

      assertTrue(thrown.get() instanceof WrongThreadException);
      assertEquals(0, memory.tokens());
    }
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void aCloseFromAnotherThread_endsTheCall() {
    for (Optional<Path> file : List.of(Optional.<Path>empty(), Optional.of(folder.resolve("p")))) {
      RetrievalOptions options = file.isPresent() ? SMALL.withFile(file.get()) : SMALL;
      try (LlamaContext context = context();
          LlamaSession session = context.newSession()) {
        RetrievalMemory memory = RetrievalMemory.over(context, options);
        memory.append(prose);
        CountDownLatch asking = new CountDownLatch(1);
        AtomicReference<Throwable> thrown = new AtomicReference<>();
        Thread other =
            new Thread(
                () ->
                    thrown.set(
                        assertThrows(
                            AlreadyClosedException.class,
                            () -> {
                              while (true) {
                                memory.recall(session, 5, 6);
                                asking.countDown();
                              }
                            })));
        other.start();
        assertTrue(assertDoesNotThrow(() -> asking.await(60, TimeUnit.SECONDS)));
        memory.close();
        join(other);

        assertTrue(thrown.get() instanceof AlreadyClosedException);
        session.clear();
        session.append(5, 6);
        context.newSession().close(); // the sequence was given back
      }
    }
  }

  @Test
  void aClosedContext_isSaid_andTheMemoryStillCloses() {
    Path file = folder.resolve("pages");
    LlamaContext context = context();
    RetrievalMemory memory = RetrievalMemory.over(context, SMALL.withFile(file));
    memory.append(5);
    context.close();

    assertThrows(AlreadyClosedException.class, () -> memory.append(5));
    memory.close();
    assertFalse(Files.exists(file));
  }

  @Test
  void anInterruptedThread_losesNothing() {
    try (LlamaContext context = context();
        LlamaSession session = context.newSession();
        RetrievalMemory memory =
            RetrievalMemory.over(context, SMALL.withFile(folder.resolve("pages")))) {
      Thread.currentThread().interrupt();
      memory.append(prose);
      RetrievalReport report = memory.recall(session, 5, 6);

      assertTrue(Thread.interrupted());
      assertEquals(report.recalled(), memory.recall(session, 5, 6).recalled());
    }
  }

  @Test
  void aSessionWhoseAttentionIsAddedUp_isToldThatItEnds() {
    try (LlamaContext context = context();
        LlamaSession session = context.newSession();
        LlamaSession observed = context.newSession();
        RetrievalMemory memory = RetrievalMemory.over(context, SMALL)) {
      memory.append(Arrays.copyOf(prose, 200));
      observed.observeAttention();
      observed.append(Arrays.copyOf(prose, 60));
      memory.recall(session, 5, 6);

      EvictionReport report = observed.evict(new H2o(Spans.none()), EvictionOptions.tokens(40));

      assertEquals(60, report.readAgain());
      assertEquals(40, observed.size());
    }
  }

  @Test
  void aSessionWithABudget_getsWhatFits() {
    try (LlamaContext context = context();
        LlamaSession session = context.newSession(SessionOptions.defaults().withBudgetTokens(430));
        LlamaSession small = context.newSession(SessionOptions.defaults().withBudgetTokens(300));
        RetrievalMemory memory = RetrievalMemory.over(context, SMALL.withRecallTokens(480))) {
      memory.append(prose);
      memory.recall(session, 5, 6);
      session.append(5, 6);

      assertTrue(session.size() > 300, session::toString);
      assertThrows(IllegalArgumentException.class, () -> memory.recall(small, 5, 6));
    }
  }

  @Test
  void aLongPrefix_hasRoomInAPoolOfItsOwn() {
    ContextOptions options =
        ContextOptions.defaults()
            .withContextTokens(2 * CELLS)
            .withMaxSequences(2)
            .withUnifiedKv(false)
            .withThreads(1)
            .withBatchThreads(1)
            .withRopeScaling(RopeScaling.rerope());
    RetrievalOptions full = SMALL.withResidentTokens(2 * CELLS).withRecallTokens(CELLS);
    try (LlamaContext context = model.newContext(options);
        LlamaSession session = context.newSession();
        RetrievalMemory memory =
            RetrievalMemory.over(context, Arrays.copyOf(prose, 80), full.withSegments(64, 0))) {
      memory.append(prose);
      memory.recall(session, 5, 6);
      session.append(5, 6);

      assertTrue(session.size() > CELLS - 128 && session.size() <= CELLS, session::toString);
    }
  }

  @Test
  void aContextThatReadsOtherwise_isRefused_untilItReadsAsBefore() {
    float[][] direction = new float[1][model.embeddingLength()];
    direction[0][0] = 1;
    try (LlamaContext context = context();
        LlamaSession session = context.newSession();
        RetrievalMemory memory = RetrievalMemory.over(context, SMALL)) {
      memory.append(prose);
      context.setControlVector(new ControlVector(direction, 1, 1));
      IllegalStateException refused =
          assertThrows(IllegalStateException.class, () -> memory.recall(session, 5, 6));
      assertTrue(refused.getMessage().contains("adapters"), refused::getMessage);
      assertThrows(IllegalStateException.class, () -> memory.append(prose));
      context.clearControlVector();

      assertTrue(memory.recall(session, 5, 6).recalledPages() > 0);
    }
  }

  @Test
  void modelsWhosePagesCannotMove_areRefusedBeforeAnythingIsTaken() throws IOException {
    Path file = folder.resolve("pages");
    for (String shape : List.of("gemma3-tiny", "jamba-tiny", "mamba-tiny")) {
      Path path = folder.resolve(shape + ".gguf");
      SyntheticModel.write(SyntheticModel.Shape.named(shape), TestModels.tiny(), path, 3);
      try (LlamaModel refused = LlamaModel.load(path);
          LlamaContext context =
              refused.newContext(
                  ContextOptions.defaults().withContextTokens(CELLS).withThreads(1))) {
        assertThrows(
            UnsupportedOperationForModelException.class,
            () -> RetrievalMemory.over(context, SMALL.withFile(file)).close());
        assertFalse(Files.exists(file));
        context.newSession().close(); // the sequence was given back
      }
    }
    try (LlamaContext context =
        model.newContext(
            ContextOptions.defaults()
                .withContextTokens(CELLS)
                .withRopeScaling(RopeScaling.dynamic()))) {
      assertThrows(
          UnsupportedOperationForModelException.class,
          () -> RetrievalMemory.over(context, SMALL).close());
    }
  }

  @Test
  void slidingWindowsThatKeepEveryCell_areServed() throws IOException {
    Path path = folder.resolve("gemma.gguf");
    SyntheticModel.write(SyntheticModel.Shape.named("gemma3-tiny"), TestModels.tiny(), path, 3);
    ContextOptions options =
        ContextOptions.defaults()
            .withContextTokens(CELLS)
            .withMaxSequences(2)
            .withThreads(1)
            .withFullSlidingWindow(true);
    try (LlamaModel gemma = LlamaModel.load(path);
        LlamaContext context = gemma.newContext(options);
        LlamaSession session = context.newSession();
        RetrievalMemory memory = RetrievalMemory.over(context, SMALL)) {
      memory.append(Arrays.copyOf(prose, 1000));

      assertTrue(memory.recall(session, 5, 6).recalledPages() > 0);
    }
  }

  @Test
  void misuse_isRefused() {
    try (LlamaContext context = context();
        LlamaContext other = context();
        LlamaSession session = context.newSession();
        LlamaSession stranger = other.newSession()) {
      RetrievalMemory memory = RetrievalMemory.over(context, SMALL);
      memory.append(prose);
      assertThrows(IllegalArgumentException.class, () -> memory.recall(stranger, 5));
      assertThrows(IllegalArgumentException.class, () -> memory.recall(session, new int[400]));
      assertThrows(IllegalArgumentException.class, () -> memory.recall(session));
      assertThrows(IndexOutOfBoundsException.class, () -> memory.append(1 << 20));
      assertThrows(
          IllegalArgumentException.class,
          () -> RetrievalMemory.over(context, SMALL.withResidentTokens(4096)).close());
      memory.close();
      memory.close();
      assertThrows(AlreadyClosedException.class, () -> memory.append("more"));
      assertThrows(AlreadyClosedException.class, () -> memory.recall(session, 5));
      context.newSession().close(); // the sequence was given back
    }
  }

  @Test
  void anEmptyMemory_bringsBackWhatStandsBefore() {
    try (LlamaContext context = context();
        LlamaSession session = context.newSession();
        RetrievalMemory memory = RetrievalMemory.over(context, SMALL)) {
      RetrievalReport report = memory.recall(session, 5, 6);

      assertEquals(0, report.recalledTokens());
      assertArrayEquals(new int[] {model.tokenizer().bos().getAsInt()}, session.tokens());
    }
  }
}
