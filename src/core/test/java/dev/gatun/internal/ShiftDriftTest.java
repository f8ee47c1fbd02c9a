package dev.gatun.internal;

import static dev.gatun.bindings.generated.llama_h.llama_memory_seq_add;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.LlamaModel;
import dev.gatun.LlamaRuntime;
import dev.gatun.TestModels;
import dev.gatun.rope.RopeBasis;
import dev.gatun.rope.RopeScaling;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Shifts under YaRN: the next token's distribution against that of a context that was never
 * shifted. Rotation is relative, so that a shift of the whole text must change nothing.
 */
class ShiftDriftTest {
  private static final int F32 = 0;
  private static final int F16 = 1;
  private static final int CONTEXT = 2048;
  private static final RopeBasis BASIS = new RopeBasis(64, 195, 256, 7.3, 1);
  private static NativeModel model;
  private static int[] text;

  @BeforeAll
  static void load() {
    LlamaRuntime.load();
    text = text();
    model =
        NativeModel.load(
            List.of(TestModels.tiny()),
            new ModelParameters(0, -1, false, false, List.of(), fraction -> true, false));
  }

  private static NativeContext context(RopeParameters rope, int keyType) {
    return new NativeContext(
        model,
        new ContextParameters(
            CONTEXT, 512, 512, 1, 2, 2, 50, keyType, keyType, -1, rope, false, true, false),
        "shift test");
  }

  private static void decode(NativeContext context, int[] tokens, int from) {
    for (int i = 0; i < tokens.length; i++) {
      context.put(i, tokens[i], from + i, 0, i == tokens.length - 1);
    }
    assertEquals(0, context.decode(tokens.length), () -> context.error().message());
  }

  /** A text whose next token hangs on a key far back. */
  private static int[] text() {
    String text =
        "<|user|>\nThe pass key of Mira is 48213. Remember it. "
            + "She was the youngest of the two daughters of a most affectionate, indulgent father;"
            + " and had, in consequence of her sister's marriage, been mistress of his house from"
            + " a very early period. Her mother had died too long ago for her to have more than an"
            + " indistinct remembrance of her caresses.\n"
            + "What is the pass key of Mira?<|end|>\n<|assistant|>\nThe pass key of Mira is ";
    try (LlamaModel tokens = LlamaModel.load(TestModels.tiny())) {
      return tokens.tokenizer().encode(text, true, true);
    }
  }

  private static double[] next(NativeContext context) {
    int size = (int) (context.logits(-1, 1).byteSize() / 4 * 2048);
    MemorySegment logits = context.logits(-1, size);
    double[] values = new double[size];
    double max = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < size; i++) {
      values[i] = logits.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      max = Math.max(max, values[i]);
    }
    double sum = 0;
    for (double value : values) {
      sum += Math.exp(value - max);
    }
    for (int i = 0; i < size; i++) {
      values[i] -= max + Math.log(sum);
    }
    return values;
  }

  private static double divergence(double[] p, double[] q) {
    double kl = 0;
    for (int i = 0; i < p.length; i++) {
      kl += Math.exp(p[i]) * (p[i] - q[i]);
    }
    return kl;
  }

  /** Shifts back and forth by random distances; returns where the text ends. */
  private static int shift(NativeContext context, int times, Random random, boolean upstream) {
    int at = 0;
    for (int i = 0; i < times; i++) {
      int to = random.nextInt(CONTEXT - text.length - 50);
      if (to == at) {
        continue;
      }
      if (upstream) {
        llama_memory_seq_add(context.memory(), 0, 0, -1, to - at);
        decode(context, new int[] {42}, text.length + to);
        NativeMemory.removeFrom(context, 0, text.length + to);
      } else {
        NativeMemory.shift(context, 0, 0, -1, to - at);
      }
      at = to;
    }
    return at;
  }

  private static double afterShifts(RopeParameters rope, int keyType, int times, boolean upstream) {
    NativeContext still = context(rope, keyType);
    NativeContext moved = context(rope, keyType);
    try {
      decode(still, text, 0);
      decode(moved, text, 0);
      int at = shift(moved, times, new Random(11), upstream);
      // The last token again, so that what it attends to are shifted keys.
      int last = text.length - 1;
      NativeMemory.removeFrom(still, 0, last);
      NativeMemory.removeFrom(moved, 0, last + at);
      decode(still, new int[] {text[last]}, last);
      decode(moved, new int[] {text[last]}, last + at);
      return divergence(next(still), next(moved));
    } finally {
      still.close();
      moved.close();
    }
  }

  private static RopeParameters yarn() {
    return RopeParameters.of(RopeScaling.yarn(8), BASIS, true, false);
  }

  @Test
  void tenThousandShiftsUnderYarn_leaveTheDistributionAlone() {
    double kl = afterShifts(yarn(), F32, 10_000, false);
    System.out.printf("YaRN 8, 10,000 shifts, F32 keys: KL %.2e%n", kl);
    assertTrue(kl < 1e-4, () -> "KL " + kl);
  }

  @Test
  void sixteenBitKeys_driftOnlyByRounding() {
    double kl = afterShifts(yarn(), F16, 10_000, false);
    System.out.printf("YaRN 8, 10,000 shifts, F16 keys: KL %.2e%n", kl);
    assertTrue(kl < 1e-4, () -> "KL " + kl);
  }

  @Test
  void upstreamStretchesTheKeys() {
    // Upstream's own YaRN parameters without the hook, eight shifts.
    RopeParameters bare =
        new RopeParameters(2, 0, 0.125f, 1, -1, 7.3f, 1, 256, java.util.Optional.empty());
    double kl = afterShifts(bare, F16, 8, true);
    System.out.printf("upstream's YaRN 8, 8 shifts: KL %.2e%n", kl);
    assertTrue(kl > 0.5, () -> "upstream was mended: KL " + kl);
    RopeParameters mended =
        new RopeParameters(
            2, 0, 0.125f, 1, -1, 7.3f, 1, 256, java.util.Optional.of(RopeHook.shiftsOnly()));
    double better = afterShifts(mended, F16, 8, false);
    System.out.printf("its parameters with the hook, 8 shifts: KL %.2e%n", better);
    assertTrue(better < 1e-4, () -> "KL " + better);
  }
}
