package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.gatun.error.AlreadyClosedException;
import dev.gatun.error.CallbackException;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.sampling.Sampler;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/** Misuse: every wrong order has a typed outcome, and the JVM lives. */
class LifecycleTest {
  private static final GenerationOptions GREEDY =
      GenerationOptions.defaults().withSampler(Sampler.greedy()).withMaxTokens(16);
  private static final ContextOptions SMALL =
      ContextOptions.defaults().withContextTokens(256).withThreads(1).withBatchThreads(1);

  private static LlamaModel load() {
    return LlamaModel.load(TestModels.tiny());
  }

  @Test
  void closeTwice_isIdempotent_atEveryLevel() {
    LlamaModel model = load();
    LlamaContext context = model.newContext(SMALL);
    LlamaSession session = context.newSession();
    Generation generation = session.generate("It was", GREEDY);
    generation.next();
    for (int i = 0; i < 2; i++) {
      generation.close();
      session.close();
      context.close();
      model.close();
    }
    assertTrue(session.isClosed());
    assertTrue(context.isClosed());
    assertTrue(model.isClosed());
  }

  @Test
  void closeModelFirst_contextGoesOn_lastChildFreesTheWeights() {
    LlamaModel model = load();
    LlamaContext context = model.newContext(SMALL);
    LlamaSession session = context.newSession();
    model.close();
    assertThrows(AlreadyClosedException.class, () -> model.newContext(SMALL));
    assertFalse(session.generate("Remember it.", GREEDY).text().isEmpty());
    assertEquals("Bath", model.tokenizer().decode(model.tokenizer().encode("Bath")));
    context.close();
    assertThrows(AlreadyClosedException.class, () -> model.tokenizer().encode("Bath"));
  }

  @Test
  void useAfterClose_isRefused_typed() {
    try (LlamaModel model = load()) {
      LlamaContext context = model.newContext(SMALL.withMaxSequences(2));
      LlamaSession session = context.newSession();
      LlamaSession other = context.newSession();
      session.append("It was");
      session.close();
      assertThrows(AlreadyClosedException.class, () -> session.append("a"));
      assertThrows(AlreadyClosedException.class, session::logits);
      assertThrows(AlreadyClosedException.class, session::fork);
      assertThrows(AlreadyClosedException.class, () -> session.generate("a", GREEDY));
      context.close();
      assertThrows(AlreadyClosedException.class, () -> other.append("a"));
      assertThrows(AlreadyClosedException.class, context::newSession);
      assertThrows(AlreadyClosedException.class, context::memory);
    }
  }

  @Test
  void closeContext_whileDecoding_waitsThenFrees_neverCrashes() throws Exception {
    try (LlamaModel model = load()) {
      int[] text = new int[200];
      Arrays.fill(text, model.tokenizer().encode("Bath")[0]);
      for (int round = 0; round < 1000; round++) {
        LlamaContext context = model.newContext(SMALL);
        LlamaSession session = context.newSession();
        AtomicReference<Throwable> outcome = new AtomicReference<>();
        CountDownLatch started = new CountDownLatch(1);
        Thread driver =
            Thread.ofPlatform()
                .start(
                    () -> {
                      try {
                        started.countDown();
                        while (true) {
                          session.append(text);
                          session.clear();
                        }
                      } catch (Throwable e) {
                        outcome.set(e);
                      }
                    });
        started.await();
        spin(round * 997 % 200_000);
        context.close();
        driver.join();
        assertInstanceOf(AlreadyClosedException.class, outcome.get());
      }
    }
  }

  @Test
  void closeSession_whileGenerating_endsTheGeneration() throws Exception {
    try (LlamaModel model = load();
        LlamaContext context = model.newContext(SMALL.withMaxSequences(2))) {
      for (int round = 0; round < 100; round++) {
        LlamaSession session = context.newSession();
        AtomicReference<Throwable> outcome = new AtomicReference<>();
        CountDownLatch started = new CountDownLatch(1);
        Thread driver =
            Thread.ofPlatform()
                .start(
                    () -> {
                      try (Generation generation =
                          session.generate("It was", GREEDY.withMaxTokens(250))) {
                        generation.next();
                        started.countDown();
                        generation.text();
                      } catch (Throwable e) {
                        started.countDown();
                        outcome.set(e);
                      }
                    });
        started.await();
        spin(round * 9973 % 500_000);
        session.close();
        driver.join();
        if (outcome.get() != null) {
          assertInstanceOf(AlreadyClosedException.class, outcome.get());
        }
      }
      // All sequences were given back.
      try (LlamaSession one = context.newSession();
          LlamaSession two = context.newSession()) {
        assertEquals(0, one.position() + two.position());
        assertThrows(IllegalStateException.class, context::newSession);
      }
    }
  }

  @Test
  void secondThread_isRefused_whileFirstIsInside() throws Exception {
    try (LlamaModel model = load();
        LlamaContext context = model.newContext(SMALL.withMaxSequences(2))) {
      LlamaSession session = context.newSession();
      LlamaSession other = context.newSession();
      AtomicReference<Throwable> outcome = new AtomicReference<>();
      session.append(
          model.tokenizer().encode("It was a fine day"),
          Cancellation.never(),
          (done, total) -> {
            // The driving thread is inside: another thread comes now, deterministically.
            Thread intruder =
                Thread.ofPlatform()
                    .start(
                        () -> {
                          try {
                            other.append("Bath");
                          } catch (Throwable e) {
                            outcome.set(e);
                          }
                        });
            try {
              intruder.join();
            } catch (InterruptedException e) {
              throw new IllegalStateException(e);
            }
          });
      assertInstanceOf(WrongThreadException.class, outcome.get());
      assertTrue(outcome.get().getMessage().contains("one thread at a time"), outcome::toString);
      other.append("Bath"); // afterwards it works
    }
  }

  @Test
  void exceptionInCallbacks_arrivesTyped_sessionStaysUsable() {
    try (LlamaModel model = load();
        LlamaContext context = model.newContext(SMALL);
        LlamaSession session = context.newSession()) {
      CallbackException load =
          assertThrows(
              CallbackException.class,
              () ->
                  LlamaModel.load(
                      TestModels.tiny(),
                      ModelOptions.defaults()
                          .withProgress(
                              fraction -> {
                                throw new IllegalStateException("from progress");
                              })));
      assertEquals("from progress", load.getCause().getMessage());

      session.append("It was");
      int before = session.position();
      CallbackException prefill =
          assertThrows(
              CallbackException.class,
              () ->
                  session.append(
                      model.tokenizer().encode(" a fine day"),
                      Cancellation.never(),
                      (done, total) -> {
                        throw new IllegalStateException("from prefill");
                      }));
      assertEquals("from prefill", prefill.getCause().getMessage());
      assertEquals(before, session.position());

      Sampler broken =
          Sampler.chain(
              Sampler.custom(
                  "broken",
                  candidates -> {
                    throw new IllegalStateException("from sampler");
                  }),
              Sampler.greedy());
      CallbackException sampler =
          assertThrows(
              CallbackException.class, () -> session.generate(GREEDY.withSampler(broken)).text());
      assertEquals("from sampler", sampler.getCause().getMessage());

      assertFalse(session.generate(GREEDY).text().isEmpty());
    }
  }

  @Test
  void closeFromInsideACallback_isRefused_insteadOfDeadlock() {
    try (LlamaModel model = load();
        LlamaContext context = model.newContext(SMALL);
        LlamaSession session = context.newSession()) {
      Runnable close = context::close;
      Sampler closing =
          Sampler.chain(Sampler.custom("closing", candidates -> close.run()), Sampler.greedy());
      CallbackException e =
          assertThrows(
              CallbackException.class,
              () -> session.generate("It was", GREEDY.withSampler(closing)).text());
      assertInstanceOf(IllegalStateException.class, e.getCause());
      assertFalse(context.isClosed());
    }
  }

  @Test
  void cancelInsidePrefill_takesBackEverything_sessionStaysUsable() {
    try (LlamaModel model = load();
        LlamaContext context =
            model.newContext(SMALL.withContextTokens(9000).withBatchTokens(8192));
        LlamaSession session = context.newSession()) {
      session.append("Lena lives in Bath.");
      int before = session.position();
      int[] text = new int[8192];
      Arrays.fill(text, model.tokenizer().encode("Bath")[0]);
      Cancellation cancellation = Cancellation.create();
      Thread canceller = Thread.ofPlatform().start(cancellation::cancel);
      try {
        session.append(text, cancellation, (done, total) -> {});
        fail("one batch of 8,192 tokens was faster than starting a thread");
      } catch (OperationCancelledException expected) {
        assertEquals(before, session.position());
      }
      join(canceller);

      // Cancelling before the start, and a deadline, do the same.
      assertThrows(
          OperationCancelledException.class,
          () -> session.append(text, cancellation, (done, total) -> {}));
      Generation late = session.generate(text, GREEDY.withDeadline(Duration.ofMillis(1)));
      assertTrue(late.next().isEmpty());
      assertEquals(StopReason.DEADLINE, late.stopReason().orElseThrow());
      assertEquals(before, session.position());

      // What the session held is still there: the answer is that of an undisturbed session.
      String question = "\nWhere does Lena live?";
      String disturbed = session.generate(question, GREEDY).text();
      try (LlamaContext calm = model.newContext(SMALL);
          LlamaSession undisturbed = calm.newSession()) {
        undisturbed.append("Lena lives in Bath.");
        assertEquals(undisturbed.generate(question, GREEDY).text(), disturbed);
      }
    }
  }

  @Test
  void cancelGeneration_fromAnotherThread_endsItBetweenTokens() {
    try (LlamaModel model = load();
        LlamaContext context = model.newContext(SMALL);
        LlamaSession session = context.newSession()) {
      Cancellation cancellation = Cancellation.create();
      Generation generation =
          session.generate("It was", GREEDY.withMaxTokens(200).withCancellation(cancellation));
      generation.next();
      cancellation.cancel();
      assertTrue(generation.stream().count() <= 1);
      assertEquals(StopReason.CANCELLED, generation.stopReason().orElseThrow());
      session.append(" a"); // idle again
    }
  }

  @Test
  void openGeneration_refusesOtherUseOfItsSession() {
    try (LlamaModel model = load();
        LlamaContext context = model.newContext(SMALL);
        LlamaSession session = context.newSession()) {
      try (Generation generation = session.generate("It was", GREEDY)) {
        generation.next();
        assertThrows(IllegalStateException.class, () -> session.append("x"));
        assertThrows(IllegalStateException.class, () -> session.truncate(0));
      }
      session.truncate(1);
      assertArrayEquals(new int[] {model.tokenizer().bos().orElseThrow()}, session.tokens());
    }
  }

  @Test
  void manyOpenAndCloseCycles_doNotGrowResidentMemory() {
    try (LlamaModel model = load()) {
      ContextOptions tiny = SMALL.withContextTokens(64).withBatchTokens(64);
      cycles(model, tiny, 2000);
      long before = ResidentMemory.bytes();
      cycles(model, tiny, 10_000);
      long contexts = ResidentMemory.bytes() - before;
      for (int i = 0; i < 50; i++) {
        load().close();
      }
      before = ResidentMemory.bytes();
      for (int i = 0; i < 300; i++) {
        load().close();
      }
      long models = ResidentMemory.bytes() - before;
      // A leak of one context (about 100 KiB) or one model (6 MiB) a cycle would be hundreds of
      // MiB.
      List<Long> growth = List.of(contexts, models);
      assertTrue(contexts < 24L << 20, () -> "bytes grown: " + growth);
      assertTrue(models < 48L << 20, () -> "bytes grown: " + growth);
    }
  }

  private static void cycles(LlamaModel model, ContextOptions options, int count) {
    for (int i = 0; i < count; i++) {
      try (LlamaContext context = model.newContext(options);
          LlamaSession session = context.newSession()) {
        if (i % 10 == 0) {
          session.generate("It", GREEDY.withMaxTokens(2)).text();
        }
      }
    }
  }

  private static void spin(int nanos) {
    long end = System.nanoTime() + nanos;
    while (System.nanoTime() < end) {
      Thread.onSpinWait();
    }
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
