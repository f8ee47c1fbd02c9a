package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.error.ContextCreateException;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.rope.Dynamic;
import dev.gatun.rope.ReRope;
import dev.gatun.rope.RopeScaling;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.util.Arrays;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** One session that grows: at each length it is what a context of the best static scaling is. */
class DynamicScalingTest {
  private static LlamaModel model;
  private static int[] text;

  @BeforeAll
  static void load() throws IOException {
    model = LlamaModel.load(TestModels.tiny());
    text = model.tokenizer().encode(Files.readString(TestModels.heldout()), true, false);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static ContextOptions options(RopeScaling scaling) {
    return ContextOptions.defaults()
        .withThreads(1)
        .withBatchThreads(1)
        .withContextTokens(4096)
        .withRopeScaling(scaling);
  }

  private static float[] logits(LlamaSession session) {
    MemorySegment logits = session.logits();
    return logits.toArray(ValueLayout.JAVA_FLOAT);
  }

  private static float[] fresh(RopeScaling scaling, int length) {
    try (LlamaContext context = model.newContext(options(scaling));
        LlamaSession session = context.newSession()) {
      session.append(Arrays.copyOf(text, length));
      return logits(session);
    }
  }

  private static void same(float[] expected, float[] actual, String what) {
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], actual[i], 2e-2, what + ", token " + i);
    }
  }

  @Test
  void growingYarn_isAtEachLengthTheYarnOfItsBucket() {
    try (LlamaContext context = model.newContext(options(new Dynamic(Dynamic.Family.YARN)));
        LlamaSession session = context.newSession()) {
      int[] lengths = {100, 256, 300, 512, 700, 1500};
      RopeScaling[] expected = {
        RopeScaling.none(),
        RopeScaling.none(),
        RopeScaling.yarn(2),
        RopeScaling.yarn(2),
        RopeScaling.yarn(4),
        RopeScaling.yarn(8)
      };
      for (int i = 0; i < lengths.length; i++) {
        session.append(Arrays.copyOfRange(text, session.position(), lengths[i]));
        assertEquals(expected[i], context.ropeScaling(), "at " + lengths[i]);
        same(fresh(expected[i], lengths[i]), logits(session), "at " + lengths[i]);
      }
      assertEquals(3, context.scalingChanges().size());
      assertEquals(256, context.scalingChanges().get(0).rereadTokens());
      assertEquals(512, context.scalingChanges().get(1).rereadTokens());
      assertEquals(700, context.scalingChanges().get(2).rereadTokens());
      session.clear();
      assertEquals(RopeScaling.none(), context.ropeScaling());
      session.append(Arrays.copyOf(text, 100));
      same(fresh(RopeScaling.none(), 100), logits(session), "after clear");
    }
  }

  @Test
  void growingAuto_isPlainAtFirst_andReadsAgainOnce() {
    try (LlamaContext context = model.newContext(options(new Dynamic(Dynamic.Family.AUTO)));
        LlamaSession session = context.newSession()) {
      session.append(Arrays.copyOf(text, 200));
      assertEquals(RopeScaling.none(), context.ropeScaling());
      same(fresh(RopeScaling.none(), 200), logits(session), "at 200");
      for (int length : new int[] {400, 1200, 3000}) {
        session.append(Arrays.copyOfRange(text, session.position(), length));
        same(fresh(new ReRope(64, true), length), logits(session), "at " + length);
      }
      assertEquals(1, context.scalingChanges().size());
      assertEquals(200, context.scalingChanges().get(0).rereadTokens());
    }
  }

  @Test
  void generationCrossesABorder_tokenByToken() {
    try (LlamaContext context = model.newContext(options(RopeScaling.dynamic()));
        LlamaSession session = context.newSession()) {
      session.append(Arrays.copyOf(text, 250));
      try (Generation generation =
          session.generate(GenerationOptions.defaults().withMaxTokens(20))) {
        generation.forEach(piece -> {});
      }
      assertEquals(270, session.position());
      int[] held = session.tokens();
      logits(session);
      assertEquals(RopeScaling.yarn(2), context.ropeScaling());
      assertArrayEquals(held, session.tokens());
    }
  }

  @Test
  void aCancelledStep_losesNoToken() {
    try (LlamaContext context = model.newContext(options(RopeScaling.dynamic()));
        LlamaSession session = context.newSession()) {
      session.append(Arrays.copyOf(text, 250));
      Cancellation cancellation = Cancellation.create();
      cancellation.cancel();
      assertThrows(
          OperationCancelledException.class,
          () ->
              session.append(
                  Arrays.copyOfRange(text, 250, 600), cancellation, (done, total) -> {}));
      assertEquals(250, session.position());
      session.append(Arrays.copyOfRange(text, 250, 600));
      same(fresh(RopeScaling.yarn(4), 600), logits(session), "after a cancelled step");
    }
  }

  @Test
  void severalSequences_areRefused() {
    ContextCreateException e =
        assertThrows(
            ContextCreateException.class,
            () -> model.newContext(options(RopeScaling.dynamic()).withMaxSequences(2)));
    assertTrue(e.getMessage().contains("withMaxSequences(1)"), e.getMessage());
  }
}
