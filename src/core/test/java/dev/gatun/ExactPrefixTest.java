package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.gguf.GgmlType;
import dev.gatun.gguf.SyntheticModel;
import dev.gatun.kv.CheckpointOptions;
import dev.gatun.kv.KvCacheType;
import dev.gatun.rope.RopeScaling;
import dev.gatun.sampling.Sampler;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Logits with an exact prefix cache are, bit by bit, those without it. */
class ExactPrefixTest {
  private static final GenerationOptions GREEDY =
      GenerationOptions.defaults().withSampler(Sampler.greedy()).withMaxTokens(12);

  private static LlamaModel model;
  private static int[] prose;

  @BeforeAll
  static void load() throws IOException {
    model = LlamaModel.load(TestModels.tiny());
    prose = model.tokenizer().encode(Files.readString(TestModels.heldout()).substring(0, 20_000));
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
        .withMicroBatchTokens(256);
  }

  /** Reads texts that end and part anywhere; returns how many tokens were reused. */
  private static long compare(
      LlamaModel of, ContextOptions context, PrefixCacheOptions options, int block) {
    Random random = new Random(12);
    long saved = 0;
    try (LlamaContext cached = of.newContext(context);
        LlamaContext plainContext = of.newContext(context.withMaxSequences(1));
        PrefixCache cache = cached.newPrefixCache(options);
        LlamaSession plain = plainContext.newSession()) {
      assertEquals(block, cache.blockTokens());
      for (int i = 0; i < 20; i++) {
        int[] begin = Arrays.copyOf(prose, 60 + random.nextInt(1_100));
        int[] rest = Arrays.copyOfRange(prose, 2000, 2010 + random.nextInt(200));
        int[] text = join(begin, rest);
        try (LlamaSession session = cached.newSession()) {
          PrefixReuse reuse = cache.open(session, text);
          session.append(reuse.rest(text));
          assertEquals(0, reuse.tokens() % block);
          saved += reuse.tokens();
          plain.clear();
          plain.append(text);
          assertArrayEquals(
              Differences.copy(plain.logits()),
              Differences.copy(session.logits()),
              () -> "logits after %d of %d reused".formatted(reuse.tokens(), text.length));
          assertEquals(plain.generate(GREEDY).text(), session.generate(GREEDY).text());
          int stored = cache.store(session);
          assertEquals(0, stored % block);
          assertTrue(stored <= text.length, "what was generated was not read in batches");
        }
      }
    }
    return saved;
  }

  @ParameterizedTest
  @MethodSource("contexts")
  void aCacheAsItComes_givesTheSameBits(ContextOptions context) {
    long saved = compare(model, context, PrefixCacheOptions.defaults(), 64);
    assertTrue(saved > 2_000, saved + " tokens saved");
  }

  static List<ContextOptions> contexts() {
    ContextOptions one = options(1536).withMaxSequences(1);
    ContextOptions three = options(3 * 1536).withMaxSequences(3);
    return List.of(
        one,
        one.withRopeScaling(RopeScaling.rerope()),
        one.withFlashAttention(FlashAttention.OFF).withRopeScaling(RopeScaling.yarn(4)),
        one.withKeyType(KvCacheType.Q8_0).withValueType(KvCacheType.Q8_0),
        three.withUnifiedKv(false),
        three.withReproducible(true),
        three.withReproducible(true).withKeyType(KvCacheType.Q8_0).withValueType(KvCacheType.Q4_0),
        three.withRopeScaling(RopeScaling.rerope()));
  }

  /** The kernels of quantised weights differ by processor: repacked, AMX tiles, dot products. */
  @ParameterizedTest
  @EnumSource(
      value = GgmlType.class,
      names = {"Q4_0", "Q8_0", "BF16", "F32"})
  void weightsOfEveryType_giveTheSameBits(GgmlType type, @TempDir Path folder) {
    Path file = folder.resolve(type + ".gguf");
    SyntheticModel.Shape shape =
        new SyntheticModel.Shape(
            "exact",
            SyntheticModel.Family.LLAMA,
            2,
            256,
            4,
            2,
            512,
            2048,
            2048,
            true,
            type,
            GgmlType.Q8_0);
    SyntheticModel.write(shape, TestModels.tiny(), file, 1);
    try (LlamaModel weights = LlamaModel.load(file)) {
      ContextOptions context = options(1536).withMaxSequences(1);
      long saved = compare(weights, context, PrefixCacheOptions.defaults(), 64);
      assertTrue(saved > 2_000, saved + " tokens saved");
    }
  }

  @Test
  void microBatchesSmallerThanATile_areReusedWhole() {
    ContextOptions small =
        options(1536).withMaxSequences(1).withBatchTokens(64).withMicroBatchTokens(32);
    PrefixCacheOptions inMemory = PrefixCacheOptions.defaults().withResidentTokens(0);
    long saved = compare(model, small, inMemory, 32);
    assertTrue(saved > 2_000, saved + " tokens saved");
  }

  /**
   * Of a recurrent state the cache keeps what lies where texts part, and what lies before their
   * end.
   */
  @ParameterizedTest
  @MethodSource("indivisible")
  void statesAreKeptOnTheWay_andGiveTheSameBits(
      SyntheticModel.Family family, CheckpointOptions checkpoints, @TempDir Path folder) {
    Path file = ReferenceFiles.write(folder, family, 2);
    SessionOptions kind = SessionOptions.defaults().withCheckpoints(checkpoints);
    boolean hasCells = family == SyntheticModel.Family.JAMBA;
    ContextOptions context = options(4 * 2048).withReproducible(hasCells);
    int[] words = ReferenceFiles.tokens(4000, 3);
    int[] begin = Arrays.copyOf(words, 450);
    try (LlamaModel recurrent = LlamaModel.load(file);
        LlamaContext cached = recurrent.newContext(context.withMaxSequences(4));
        LlamaContext plainContext = recurrent.newContext(context.withMaxSequences(1));
        PrefixCache cache = cached.newPrefixCache(PrefixCacheOptions.defaults());
        LlamaSession plain = plainContext.newSession(kind)) {
      int[] found = new int[3];
      for (int i = 0; i < 3; i++) {
        int[] text = join(begin, Arrays.copyOfRange(words, 1000 * i, 1000 * i + 700));
        int[] next = join(text, Arrays.copyOfRange(words, 3000, 3200));
        try (LlamaSession session = cached.newSession(kind)) {
          found[i] = open(cache, session, text);
          int kept = cache.store(session);
          assertTrue(kept % 64 == 0 && kept >= text.length - 256, kept + " tokens are remembered");
          assertSameLogits(plain, session, text);
          session.clear();
          int turn = open(cache, session, next);
          assertTrue(turn >= text.length - 256, turn + " tokens of the turn before");
          assertSameLogits(plain, session, next);
        }
      }
      assertArrayEquals(new int[] {0, 0, 448}, found, "the third text finds where they part");
      assertEquals(0, cache.stats().failures());
    }
  }

  static List<Arguments> indivisible() {
    List<Arguments> all = new ArrayList<>();
    for (SyntheticModel.Family family :
        List.of(
            SyntheticModel.Family.MAMBA,
            SyntheticModel.Family.MAMBA2,
            SyntheticModel.Family.JAMBA)) {
      all.add(Arguments.of(family, CheckpointOptions.defaults()));
      all.add(Arguments.of(family, CheckpointOptions.manual()));
    }
    return all;
  }

  private static int open(PrefixCache cache, LlamaSession session, int[] text) {
    PrefixReuse reuse = cache.open(session, text);
    session.append(reuse.rest(text));
    return reuse.tokens();
  }

  private static void assertSameLogits(LlamaSession plain, LlamaSession session, int[] text) {
    plain.clear();
    plain.append(text);
    assertArrayEquals(Differences.copy(plain.logits()), Differences.copy(session.logits()));
  }

  private static int[] join(int[] a, int[] b) {
    int[] joined = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, joined, a.length, b.length);
    return joined;
  }

  @Test
  void aSlidingWindow_isRefused(@TempDir Path folder) {
    Path file = ReferenceFiles.write(folder, SyntheticModel.Family.GEMMA3, 6);
    try (LlamaModel sliding = LlamaModel.load(file);
        LlamaContext context = sliding.newContext(options(512).withMaxSequences(1))) {
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class,
              () -> context.newPrefixCache(PrefixCacheOptions.defaults()));
      assertTrue(refused.getMessage().contains("withExact(false)"), refused.getMessage());
    }
  }

  @Test
  void aContextWhereItCannotBeExact_refusesIt() {
    ContextOptions unified = options(512).withMaxSequences(3).withUnifiedKv(true);
    for (ContextOptions able :
        List.of(
            unified.withMaxSequences(1),
            unified.withUnifiedKv(false),
            unified.withReproducible(true),
            unified.withRopeScaling(RopeScaling.rerope()))) {
      try (LlamaContext context = model.newContext(able)) {
        assertTrue(context.newPrefixCache(PrefixCacheOptions.defaults()).options().exact());
      }
    }
    try (LlamaContext context = model.newContext(unified)) {
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class,
              () -> context.newPrefixCache(PrefixCacheOptions.defaults()));
      assertTrue(refused.getMessage().contains("withReproducible(true)"), refused.getMessage());
      PrefixCacheOptions loose = PrefixCacheOptions.defaults().withExact(false);
      assertFalse(context.newPrefixCache(loose).options().exact());
    }
  }
}
