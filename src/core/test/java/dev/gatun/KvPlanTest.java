package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.error.ContextCreateException;
import dev.gatun.gguf.GgmlType;
import dev.gatun.gguf.GgufFile;
import dev.gatun.gguf.SyntheticModel;
import dev.gatun.gguf.SyntheticModel.Family;
import dev.gatun.gguf.SyntheticModel.Shape;
import dev.gatun.kv.KvCacheType;
import dev.gatun.kv.KvLayout;
import dev.gatun.kv.KvPlan;
import dev.gatun.kv.KvPlan.Kind;
import dev.gatun.kv.KvSettings;
import dev.gatun.offload.GpuLayers;
import dev.gatun.sampling.Sampler;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The bytes that are predicted from a file's metadata are those that the native side takes. */
class KvPlanTest {
  @TempDir Path folder;

  private static Shape shape(Family family, int layers, int heads, int kvHeads) {
    boolean attention = family.hasAttention();
    return new Shape(
        "small",
        family,
        layers,
        128,
        attention ? heads : 0,
        attention ? kvHeads : 0,
        attention ? 128 : 0,
        2048,
        1024,
        true,
        GgmlType.F16,
        GgmlType.F16);
  }

  private LlamaModel model(Shape shape) {
    Path file = folder.resolve("model.gguf");
    SyntheticModel.write(shape, TestModels.tiny(), file, 3);
    // A GPU rounds tensors up in its own way.
    return LlamaModel.load(file, ModelOptions.defaults().withGpuLayers(GpuLayers.none()));
  }

  private static KvLayout layout(LlamaModel model) {
    return KvLayout.of(model.metadata()).orElseThrow();
  }

  private static ContextOptions options() {
    return ContextOptions.defaults()
        .withContextTokens(300)
        .withBatchTokens(32)
        .withMicroBatchTokens(16)
        .withThreads(1)
        .withBatchThreads(1);
  }

  private static long measured(LlamaContext context) {
    return context.memory().stream().mapToLong(MemoryUse::contextBytes).sum();
  }

  private static void assertPredicted(LlamaModel model, ContextOptions options) {
    KvPlan plan = layout(model).plan(options.kvSettings(model.trainedContextTokens()));
    try (LlamaContext context = model.newContext(options)) {
      String what = model + " " + options;
      assertEquals(measured(context), plan.totalBytes(), what);
      assertEquals(Optional.of(plan), context.kvPlan(), what);
      assertEquals(context.contextTokens(), plan.contextTokens(), what);
      assertEquals(context.sequenceTokens(), plan.sequenceTokens(), what);
    }
  }

  /** Every pair of types, pooled or not, one to four sequences, with and without the kernel. */
  private static int assertAllPredicted(LlamaModel model, int repetitions, long seed) {
    Random random = new Random(seed);
    int contexts = 0;
    for (KvCacheType keys : KvCacheType.values()) {
      for (KvCacheType values : KvCacheType.values()) {
        for (int sequences = 1; sequences <= 4; sequences++) {
          for (boolean unified : sequences == 1 ? List.of(true) : List.of(true, false)) {
            for (FlashAttention attention : List.of(FlashAttention.ON, FlashAttention.OFF)) {
              if (attention == FlashAttention.OFF && values.isQuantised()) {
                continue; // ContextOptions refuses it.
              }
              for (int i = 0; i < repetitions; i++) {
                ContextOptions options =
                    options()
                        .withKeyType(keys)
                        .withValueType(values)
                        .withMaxSequences(sequences)
                        .withUnifiedKv(unified)
                        .withFlashAttention(attention)
                        .withContextTokens(4 + random.nextInt(1500))
                        .withBatchTokens(sequences + random.nextInt(64))
                        .withMicroBatchTokens(1 + random.nextInt(32))
                        .withFullSlidingWindow(random.nextInt(3) == 0);
                if (layout(model).accepts(keys, values)) {
                  assertPredicted(model, options);
                  contexts++;
                } else {
                  assertThrows(
                      ContextCreateException.class, () -> model.newContext(options).close());
                }
              }
            }
          }
        }
      }
    }
    return contexts;
  }

  @ParameterizedTest
  @EnumSource
  void everyFamily_everyPairOfTypes_predictedToTheByte(Family family) {
    int layers = family == Family.GEMMA3 ? 7 : 2;
    try (LlamaModel model = model(shape(family, layers, 4, 2))) {
      int contexts = assertAllPredicted(model, 1, family.ordinal());
      assertEquals(family == Family.DEEPSEEK2 ? 12 * 7 : 108 * 7, contexts);
    }
  }

  @Test
  void asManyKeyHeadsAsHeads_predictedToTheByte() {
    try (LlamaModel model = model(shape(Family.LLAMA, 1, 2, 2))) {
      assertAllPredicted(model, 1, 99);
    }
  }

  @Test
  void slidingWindows_windowedAndFull_atManyLengths() {
    try (LlamaModel model = model(Shape.named("gemma3-tiny"))) {
      for (int tokens : new int[] {8, 256, 257, 512, 1000, 2048, 5000}) {
        for (int micro : new int[] {1, 16, 255, 512}) {
          for (int sequences : new int[] {1, 3, 8}) {
            for (boolean full : new boolean[] {false, true}) {
              for (boolean unified : new boolean[] {false, true}) {
                assertPredicted(
                    model,
                    options()
                        .withContextTokens(tokens)
                        .withBatchTokens(512)
                        .withMicroBatchTokens(micro)
                        .withMaxSequences(sequences)
                        .withFullSlidingWindow(full)
                        .withUnifiedKv(unified));
              }
            }
          }
        }
      }
    }
  }

  @Test
  void compressedAttention_decodes_andKeepsItsCells() {
    try (LlamaModel model = model(Shape.named("deepseek2-tiny"));
        LlamaContext context = model.newContext(options());
        LlamaSession session = context.newSession()) {
      GenerationOptions greedy =
          GenerationOptions.defaults().withSampler(Sampler.greedy()).withMaxTokens(20);
      int[] prompt = model.tokenizer().encode("The pass key of Mira is 4711.");
      session.append(prompt);
      int[] first;
      try (Generation generation = session.generate(greedy)) {
        generation.text();
      }
      first = session.tokens();
      assertTrue(first.length > prompt.length);
      session.truncate(prompt.length - 1);
      session.append(new int[] {prompt[prompt.length - 1]});
      try (Generation generation = session.generate(greedy)) {
        generation.text();
      }
      assertEquals(List.of(boxed(first)), List.of(boxed(session.tokens())));
      // 64 compressed and 32 rotated elements of two bytes in each of 3 layers, and no values
      assertEquals((64 + 32) * 2 * 3, context.kvPlan().orElseThrow().bytesPerToken());
    }
  }

  private static Integer[] boxed(int[] values) {
    return java.util.Arrays.stream(values).boxed().toArray(Integer[]::new);
  }

  @ParameterizedTest
  @ValueSource(strings = {"qwen2-tiny", "deepseek2-tiny", "jamba-tiny", "gemma3-tiny"})
  void fullAttentionBytes_areLinearInTokens_othersAreBounded(String name) {
    Path file = folder.resolve("model.gguf");
    SyntheticModel.write(Shape.named(name), TestModels.tiny(), file, 3);
    KvLayout layout = KvLayout.of(GgufFile.open(file).model()).orElseThrow();
    KvSettings settings = options().kvSettings(256);
    KvPlan one = layout.plan(settings.withContextTokens(256));
    for (int blocks = 1; blocks < 2000; blocks += 37) {
      KvPlan plan = layout.plan(settings.withContextTokens(256 * blocks));
      KvPlan.Group full = plan.group(Kind.FULL_ATTENTION).orElseThrow();
      assertEquals(one.group(Kind.FULL_ATTENTION).orElseThrow().bytes() * blocks, full.bytes());
      assertEquals(full.bytesPerCell() * 256 * blocks, full.bytes());
      assertEquals(one.recurrentBytes(), plan.recurrentBytes());
      plan.group(Kind.SLIDING_WINDOW)
          .ifPresent(window -> assertTrue(window.cells() <= 512, window.toString()));
      // One session that fills the context uses at most what there is.
      assertTrue(plan.sessionBytes(256 * blocks) <= plan.totalBytes());
      assertEquals(256L * blocks, plan.sessionCells(Integer.MAX_VALUE));
      assertEquals(full.bytesPerCell(), plan.sessionBytes(200) - plan.sessionBytes(199), name);
      assertEquals(0, plan.sessionBytes(0));
    }
  }

  /** Sizes as a damaged file may state them. */
  @Test
  void sizesBeyondAllNumbers_stayAtTheLargest() {
    KvSettings settings = options().kvSettings(256).withTypes(KvCacheType.F32, KvCacheType.F32);
    KvLayout.Layer wide = new KvLayout.Layer(false, 1L << 31, 1L << 31, 1L << 31);
    KvPlan plan = new KvLayout(List.of(wide), 0, 0, 0, 0, 0, false, true).plan(settings);
    assertEquals(Long.MAX_VALUE, plan.totalBytes());
    assertEquals(Long.MAX_VALUE, plan.bytesPerToken());
    KvLayout.Layer sliding = new KvLayout.Layer(true, 1, 64, 64);
    for (long window : new long[] {1L << 61, 1L << 62, Long.MAX_VALUE}) {
      KvLayout endless = new KvLayout(List.of(sliding), 0, 0, 0, 0, window, false, true);
      KvPlan.Group group = endless.plan(settings).group(Kind.SLIDING_WINDOW).orElseThrow();
      assertEquals(group.cells(), group.sequenceCells(), "window " + window);
      assertEquals(endless.plan(settings).sequenceTokens(), group.cells(), "window " + window);
    }
  }

  @Test
  void anIntervalOfNoLayers_isNotGuessed() {
    Path file = folder.resolve("model.gguf");
    dev.gatun.gguf.GgufWriter writer = new dev.gatun.gguf.GgufWriter();
    writer.put("general.architecture", dev.gatun.gguf.GgufValue.text("qwen3next"));
    writer.put("qwen3next.block_count", dev.gatun.gguf.GgufValue.uint32(4));
    writer.put("qwen3next.embedding_length", dev.gatun.gguf.GgufValue.uint32(64));
    writer.put("qwen3next.attention.head_count", dev.gatun.gguf.GgufValue.uint32(2));
    writer.put("qwen3next.full_attention_interval", dev.gatun.gguf.GgufValue.uint32(0));
    writer.write(file);
    assertFalse(KvLayout.of(GgufFile.open(file).model()).isPresent());
  }

  @Test
  void unknownArchitecture_isNotGuessed() {
    Path file = folder.resolve("model.gguf");
    dev.gatun.gguf.GgufWriter writer = new dev.gatun.gguf.GgufWriter();
    writer.put("general.architecture", dev.gatun.gguf.GgufValue.text("deepseek4"));
    writer.put("deepseek4.block_count", dev.gatun.gguf.GgufValue.uint32(4));
    writer.put("deepseek4.embedding_length", dev.gatun.gguf.GgufValue.uint32(64));
    writer.put("deepseek4.attention.head_count", dev.gatun.gguf.GgufValue.uint32(2));
    writer.write(file);
    assertFalse(KvLayout.of(GgufFile.open(file).model()).isPresent());
  }

  /** llama.cpp v0.5.0 would abort: {@code n_outputs_max <= cparams.n_outputs_max}. */
  @Test
  void batchSmallerThanTheSequences_isRefused() {
    try (LlamaModel model = LlamaModel.load(TestModels.tiny())) {
      for (ContextOptions options :
          List.of(
              options().withBatchTokens(1).withMaxSequences(2),
              options().withContextTokens(2).withMaxSequences(3).withUnifiedKv(false))) {
        ContextCreateException error =
            assertThrows(ContextCreateException.class, () -> model.newContext(options).close());
        assertTrue(error.getMessage().contains("sequences"), error.getMessage());
      }
    }
  }

  @Test
  void contextLargerThanTheMemory_isRefusedWithWhatFits() {
    try (LlamaModel model =
        LlamaModel.load(
            TestModels.tiny(), ModelOptions.defaults().withGpuLayers(GpuLayers.none()))) {
      ContextOptions options = options().withContextTokens(2_000_000_000);
      ContextCreateException error =
          assertThrows(ContextCreateException.class, () -> model.newContext(options).close());
      assertTrue(error.getMessage().matches(".*at most [0-9,]+ fit.*"), error.getMessage());
    }
  }
}
