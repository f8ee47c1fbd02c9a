package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.rope.FactorTable;
import dev.gatun.rope.RopeFacts;
import dev.gatun.rope.RopeScaling;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.util.Arrays;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class SetFactorTableTest {
  private static final float ROUNDING = 0.05f;

  private static LlamaModel model;
  private static int[] tokens;
  private static FactorTable yarn;
  private static FactorTable ntk;

  @BeforeAll
  static void load() throws Exception {
    model = LlamaModel.load(TestModels.tiny());
    String text = Files.readString(TestModels.heldout()).substring(0, 3_000);
    tokens = Arrays.copyOf(model.tokenizer().encode(text, true, false), 600);
    var basis = RopeFacts.of(model.file()).basis();
    yarn = FactorTable.of(RopeScaling.yarn(4).rotation(basis));
    ntk = FactorTable.of(RopeScaling.ntkAware(4).rotation(basis));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static LlamaContext context(RopeScaling scaling) {
    return model.newContext(
        ContextOptions.defaults()
            .withContextTokens(2048)
            .withMaxSequences(2)
            .withRopeScaling(scaling));
  }

  private static float[] logits(LlamaSession session, int token) {
    float[][] last = new float[1][];
    session.evaluate(
        new int[] {token},
        Cancellation.never(),
        (_, logits) -> last[0] = logits.toArray(ValueLayout.JAVA_FLOAT));
    return last[0];
  }

  private static float[] fresh(FactorTable table) {
    try (LlamaContext context = context(table);
        LlamaSession session = context.newSession()) {
      session.append(tokens, Cancellation.never(), (_, _) -> {});
      return logits(session, 7);
    }
  }

  private static float difference(float[] first, float[] second) {
    float most = 0;
    for (int i = 0; i < first.length; i++) {
      most = Math.max(most, Math.abs(first[i] - second[i]));
    }
    return most;
  }

  @Test
  void changedInPlace_isAsIfMadeWithIt_forEverySession() {
    float[] expected = fresh(ntk);
    // Batches of other sizes round the F16 cells otherwise; another table does much more.
    assertTrue(difference(expected, fresh(yarn)) > 10 * ROUNDING);
    try (LlamaContext context = context(yarn);
        LlamaSession session = context.newSession()) {
      session.append(tokens, Cancellation.never(), (_, _) -> {});
      context.setFactorTable(ntk);
      assertEquals(ntk, context.ropeScaling());
      assertArrayEquals(tokens, session.tokens());
      assertTrue(difference(expected, logits(session, 7)) < ROUNDING);
      try (LlamaSession later = context.newSession()) {
        later.append(tokens, Cancellation.never(), (_, _) -> {});
        assertTrue(difference(expected, logits(later, 7)) < ROUNDING);
      }
      session.clear();
      session.append(tokens, Cancellation.never(), (_, _) -> {});
      assertArrayEquals(expected, logits(session, 7), 1e-4f);
    }
  }

  @Test
  void whatIsNoTable_orOfAnotherSize_isRefused() {
    try (LlamaContext context = context(RopeScaling.yarn(4))) {
      assertThrows(IllegalStateException.class, () -> context.setFactorTable(yarn));
    }
    try (LlamaContext context = context(yarn);
        LlamaSession session = context.newSession()) {
      assertThrows(
          IllegalArgumentException.class, () -> context.setFactorTable(FactorTable.of(1, 2)));
      try (Generation _ = session.generate("Once", GenerationOptions.defaults())) {
        assertThrows(IllegalStateException.class, () -> context.setFactorTable(ntk));
      }
      context.setFactorTable(ntk);
    }
  }
}
