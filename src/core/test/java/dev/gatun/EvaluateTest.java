package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.error.CallbackException;
import dev.gatun.error.KvCacheFullException;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.rope.RopeScaling;
import dev.gatun.sampling.Sampler;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** {@link LlamaSession#evaluate}: every token's logits, and a session that keeps its word. */
class EvaluateTest {
  private static LlamaModel model;
  private static int[] text;

  @BeforeAll
  static void load() throws Exception {
    model = LlamaModel.load(TestModels.tiny());
    text =
        model
            .tokenizer()
            .encode(Files.readString(TestModels.heldout()).substring(0, 2000), true, false);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static ContextOptions options() {
    return ContextOptions.defaults().withContextTokens(512).withThreads(1).withBatchThreads(1);
  }

  @Test
  void handsOutTheLogitsOfEveryToken_inOrder_acrossBatches() {
    int[] ids = Arrays.copyOf(text, 150);
    float[][] expected = new float[ids.length][];
    try (LlamaContext context = model.newContext(options());
        LlamaSession session = context.newSession()) {
      for (int i = 0; i < ids.length; i++) {
        session.append(ids[i]);
        expected[i] = session.logits().toArray(ValueLayout.JAVA_FLOAT);
      }
    }
    List<Integer> indices = new ArrayList<>();
    try (LlamaContext context = model.newContext(options().withBatchTokens(64));
        LlamaSession session = context.newSession()) {
      session.append(Arrays.copyOf(ids, 10));
      session.evaluate(
          Arrays.copyOfRange(ids, 10, ids.length),
          Cancellation.never(),
          (index, logits) -> {
            indices.add(index);
            float[] actual = logits.toArray(ValueLayout.JAVA_FLOAT);
            assertArrayEquals(expected[index], actual, 0.05f, "index " + index);
            assertThrows(
                RuntimeException.class, () -> logits.setAtIndex(ValueLayout.JAVA_FLOAT, 0, 1f));
          });
      assertEquals(IntStream.range(10, ids.length).boxed().toList(), indices);
      assertEquals(ids.length, session.position());
      assertArrayEquals(
          expected[ids.length - 1], session.logits().toArray(ValueLayout.JAVA_FLOAT), 0.05f);
    }
  }

  @Test
  void afterAGeneration_thePendingTokenIsReadButNotHandedOut() {
    try (LlamaContext context = model.newContext(options());
        LlamaSession session = context.newSession()) {
      session
          .generate(
              Arrays.copyOf(text, 20),
              GenerationOptions.defaults()
                  .withSampler(Sampler.greedy())
                  .withIgnoreEndOfGeneration(true)
                  .withMaxTokens(3))
          .text();
      int held = session.size();
      List<Integer> indices = new ArrayList<>();
      session.evaluate(
          new int[] {text[20], text[21]}, Cancellation.never(), (index, _) -> indices.add(index));
      assertEquals(List.of(held, held + 1), indices);
    }
  }

  @Test
  void consumerThatThrows_leavesTheSessionAsItWas() {
    try (LlamaContext context = model.newContext(options().withBatchTokens(32));
        LlamaSession session = context.newSession()) {
      session.append(Arrays.copyOf(text, 40));
      float[] before = session.logits().toArray(ValueLayout.JAVA_FLOAT);
      IllegalStateException cause = new IllegalStateException("enough");
      CallbackException thrown =
          assertThrows(
              CallbackException.class,
              () ->
                  session.evaluate(
                      Arrays.copyOfRange(text, 40, 140),
                      Cancellation.never(),
                      (index, _) -> {
                        if (index == 90) {
                          throw cause;
                        }
                      }));
      assertSame(cause, thrown.getCause());
      assertEquals(40, session.position());
      assertArrayEquals(before, session.logits().toArray(ValueLayout.JAVA_FLOAT), 0.05f);
    }
  }

  @Test
  void cancelled_leavesTheSessionAsItWas() {
    try (LlamaContext context = model.newContext(options().withBatchTokens(32));
        LlamaSession session = context.newSession()) {
      session.append(Arrays.copyOf(text, 40));
      Cancellation cancellation = Cancellation.create();
      int[] seen = new int[1];
      assertThrows(
          OperationCancelledException.class,
          () ->
              session.evaluate(
                  Arrays.copyOfRange(text, 40, 300),
                  cancellation,
                  (index, _) -> {
                    seen[0]++;
                    if (index == 60) {
                      cancellation.cancel();
                    }
                  }));
      assertTrue(seen[0] <= 32, seen[0] + " tokens were handed out");
      assertEquals(40, session.position());
    }
  }

  @Test
  void tooLong_orUnknownIds_areRefusedBeforeAnythingIsRead() {
    try (LlamaContext context = model.newContext(options());
        LlamaSession session = context.newSession()) {
      LogitsConsumer none = (int index, MemorySegment logits) -> {};
      assertThrows(
          KvCacheFullException.class,
          () -> session.evaluate(new int[513], Cancellation.never(), none));
      assertThrows(
          IndexOutOfBoundsException.class,
          () -> session.evaluate(new int[] {1, -1}, Cancellation.never(), none));
      session.evaluate(new int[0], Cancellation.never(), none);
      assertEquals(0, session.position());
    }
  }

  @Test
  void aScalingThatFollowsTheLength_followsWhatIsEvaluated() {
    int[] ids = Arrays.copyOf(text, 400);
    ContextOptions dynamic = options().withRopeScaling(RopeScaling.dynamic());
    float[] expected;
    try (LlamaContext context = model.newContext(dynamic);
        LlamaSession session = context.newSession()) {
      session.append(ids);
      expected = session.logits().toArray(ValueLayout.JAVA_FLOAT);
    }
    try (LlamaContext context = model.newContext(dynamic);
        LlamaSession session = context.newSession()) {
      session.append(Arrays.copyOf(ids, 20));
      float[][] last = new float[1][];
      session.evaluate(
          Arrays.copyOfRange(ids, 20, ids.length),
          Cancellation.never(),
          (index, logits) -> last[0] = logits.toArray(ValueLayout.JAVA_FLOAT));
      assertEquals(RopeScaling.yarn(2), context.ropeScaling());
      assertEquals(20, context.scalingChanges().getFirst().rereadTokens());
      assertArrayEquals(expected, last[0], 0.05f);
    }
  }
}
