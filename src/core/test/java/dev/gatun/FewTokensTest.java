package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import dev.gatun.gguf.SyntheticModel.Family;
import dev.gatun.kv.KvCacheType;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** A few tokens behind many cells are computed by another kernel, and give the same logits. */
class FewTokensTest {
  private static final int MANY = 1500;
  private static final int[] TEXT = ReferenceFiles.tokens(MANY + 100, 9);

  @TempDir static Path models;

  private static Path llama;

  @BeforeAll
  static void write() {
    llama = ReferenceFiles.write(models, Family.LLAMA, 2);
  }

  private static ContextOptions options() {
    return ContextOptions.defaults().withContextTokens(2048).withThreads(1).withBatchThreads(1);
  }

  /** Logits after a long text and some tokens more. */
  private static double[] logits(LlamaModel model, ContextOptions options, int more) {
    try (LlamaContext context = model.newContext(options);
        LlamaSession session = context.newSession()) {
      session.append(Arrays.copyOf(TEXT, MANY));
      session.append(Arrays.copyOfRange(TEXT, MANY, MANY + more));
      return Differences.copy(session.logits());
    }
  }

  private static void compare(LlamaModel model, ContextOptions options, double most) {
    for (int more : new int[] {4, 16, 63}) {
      double[] expected = logits(model, options.withFlashAttention(FlashAttention.OFF), more);
      double[] actual = logits(model, options.withFlashAttention(FlashAttention.ON), more);
      assertEquals(0, Differences.max(expected, actual), most, more + " tokens");
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = Family.class,
      names = {"LLAMA", "QWEN2", "GEMMA3", "DEEPSEEK2", "JAMBA"})
  void ofEveryFamily(Family family) {
    Path file = ReferenceFiles.write(models, family, family == Family.GEMMA3 ? 6 : 2);
    try (LlamaModel model = LlamaModel.load(file)) {
      compare(model, options(), 0.05); // flash attention rounds to half precision
    }
  }

  @ParameterizedTest
  @MethodSource("cells")
  void withCellsOfEveryKind(ContextOptions options) {
    try (LlamaModel model = LlamaModel.load(llama)) {
      // Without flash attention values cannot be quantised: what rounds the same way is compared.
      double[] one = logits(model, options, 1);
      double[] ours = logits(model, options.withReproducible(true), 1);
      double kernels = Differences.max(one, ours);
      for (int more : new int[] {4, 16, 63}) {
        double[] few = logits(model, options, more);
        double[] all = logits(model, options.withReproducible(true), more);
        assertEquals(0, Differences.max(few, all), Math.max(0.02, 4 * kernels), more + " tokens");
      }
    }
  }

  static List<ContextOptions> cells() {
    return List.of(
        options().withKeyType(KvCacheType.F32).withValueType(KvCacheType.F32),
        options().withKeyType(KvCacheType.Q8_0).withValueType(KvCacheType.Q8_0),
        options().withKeyType(KvCacheType.Q4_0).withValueType(KvCacheType.Q4_1),
        options().withKeyType(KvCacheType.BF16).withValueType(KvCacheType.BF16),
        options().withMaxSequences(3).withUnifiedKv(true),
        options().withContextTokens(3 * 2048).withMaxSequences(3).withUnifiedKv(false));
  }

  /** Which kernel it was shows in the last bits. */
  @Test
  void fewTokensAreReadByOurKernel_andManyAndSingleOnesByGgmls() {
    try (LlamaModel model = LlamaModel.load(llama)) {
      ContextOptions ours = options().withReproducible(true);
      assertArrayEquals(
          afterMany(model, ours, options(), 16), afterMany(model, options(), options(), 16));
      for (int more : new int[] {1, 3, 64}) {
        assertNotEquals(
            Arrays.toString(logits(model, ours, more)),
            Arrays.toString(logits(model, options(), more)),
            more + " tokens");
      }
    }
  }

  /** Whole micro batches of 512 tokens and a few, in one call and in two. */
  @Test
  void aTextReadAtOnce_isReadAsInPieces() {
    try (LlamaModel model = LlamaModel.load(llama);
        LlamaContext context = model.newContext(options());
        LlamaSession session = context.newSession()) {
      for (int few : new int[] {3, 5, 40, 63}) {
        session.clear();
        session.append(Arrays.copyOf(TEXT, 1024 + few));
        double[] atOnce = Differences.copy(session.logits());
        session.clear();
        session.append(Arrays.copyOf(TEXT, 1024));
        session.append(Arrays.copyOfRange(TEXT, 1024, 1024 + few));
        assertArrayEquals(atOnce, Differences.copy(session.logits()), few + " tokens");
      }
    }
  }

  @Test
  void afterFewTokens_manyAreReadAsBefore() {
    try (LlamaModel model = LlamaModel.load(llama);
        LlamaContext context = model.newContext(options());
        LlamaSession session = context.newSession()) {
      session.append(Arrays.copyOf(TEXT, MANY));
      session.append(Arrays.copyOfRange(TEXT, MANY, MANY + 16));
      session.truncate(MANY);
      session.append(Arrays.copyOfRange(TEXT, MANY, MANY + 64));
      assertArrayEquals(logits(model, options(), 64), Differences.copy(session.logits()));
    }
  }

  /** Logits after a text that one context has read, and some tokens that another one reads. */
  private static double[] afterMany(
      LlamaModel model, ContextOptions few, ContextOptions many, int more) {
    SessionState state;
    try (LlamaContext context = model.newContext(many);
        LlamaSession session = context.newSession()) {
      session.append(Arrays.copyOf(TEXT, MANY));
      state = session.save();
    }
    try (LlamaContext context = model.newContext(few);
        LlamaSession session = context.newSession()) {
      session.restore(state);
      session.append(Arrays.copyOfRange(TEXT, MANY, MANY + more));
      return Differences.copy(session.logits());
    }
  }
}
