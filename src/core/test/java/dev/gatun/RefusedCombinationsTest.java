package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.error.ContextCreateException;
import dev.gatun.error.KvCacheFullException;
import dev.gatun.error.StateFormatException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.gguf.GgufFile;
import dev.gatun.gguf.GgufWriter;
import dev.gatun.gguf.SyntheticModel.Family;
import dev.gatun.kv.KvCacheType;
import dev.gatun.rope.DualChunk;
import dev.gatun.rope.Dynamic;
import dev.gatun.rope.FactorTable;
import dev.gatun.rope.RopeScaling;
import dev.gatun.sampling.Sampler;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/**
 * What llama.cpp v0.5.0 would abort on, or corrupt in silence, is refused with a typed error before
 * anything is changed, and the session works afterwards.
 */
class RefusedCombinationsTest {
  private static final int[] TOKENS = ReferenceFiles.tokens(60, 9);
  private static final int[] MORE = ReferenceFiles.tokens(12, 10);
  private static final Map<String, LlamaModel> MODELS = new HashMap<>();
  private static final GenerationOptions GREEDY =
      GenerationOptions.defaults().withSampler(Sampler.greedy());

  @TempDir static Path folder;

  @AfterAll
  static void close() {
    MODELS.values().forEach(LlamaModel::close);
  }

  private static LlamaModel model(Family family, int layers, int width, int heads, int keyHeads) {
    return MODELS.computeIfAbsent(
        family + " " + layers + " " + width + " " + heads + " " + keyHeads,
        name ->
            LlamaModel.load(ReferenceFiles.write(folder, family, layers, width, heads, keyHeads)));
  }

  private static LlamaModel llama() {
    return model(Family.LLAMA, 1, 128, 2, 1);
  }

  private static ContextOptions options() {
    return ContextOptions.defaults().withContextTokens(256).withThreads(1).withBatchThreads(1);
  }

  /** The call is refused and changes nothing: the session goes on as one that never saw it. */
  private static <E extends Throwable> E refused(
      Class<E> type, LlamaModel model, ContextOptions options, RefusedCall call) {
    try (LlamaContext context = model.newContext(options);
        LlamaSession session = context.newSession()) {
      session.append(TOKENS);
      E error = assertThrows(type, () -> call.on(session));
      assertFalse(error.getMessage().isBlank());
      assertArrayEquals(TOKENS, session.tokens());
      double[][] after = Differences.evaluate(session, MORE);
      session.clear();
      session.append(TOKENS);
      Differences.assertNear(error.getMessage(), Differences.evaluate(session, MORE), after, 1e-4);
      return error;
    }
  }

  @FunctionalInterface
  private interface RefusedCall {
    void on(LlamaSession session);
  }

  private static void discardRefused(LlamaModel model, ContextOptions options, String words) {
    Exception error =
        refused(
            UnsupportedOperationForModelException.class,
            model,
            options,
            session -> session.discard(3, 20));
    assertTrue(error.getMessage().contains(words), error.getMessage());
  }

  private static ContextCreateException contextRefused(LlamaModel model, ContextOptions options) {
    return assertThrows(ContextCreateException.class, () -> model.newContext(options).close());
  }

  private static UnsupportedOperationForModelException modelRefused(
      LlamaModel model, ContextOptions options) {
    return assertThrows(
        UnsupportedOperationForModelException.class, () -> model.newContext(options).close());
  }

  @Test
  void keysOfTypeBf16_cannotMove() {
    for (FlashAttention attention : FlashAttention.values()) {
      ContextOptions options =
          options().withKeyType(KvCacheType.BF16).withFlashAttention(attention);
      discardRefused(llama(), options, "BF16");
      discardRefused(llama(), options.withRopeScaling(RopeScaling.yarn(4)), "BF16");
    }
    discardRefused(
        llama(),
        options().withKeyType(KvCacheType.BF16).withRopeScaling(RopeScaling.rerope()),
        "BF16");
  }

  @Test
  void quantisedKeysOfOtherHeadSizes_cannotMove() {
    int[][] shapes = {{64, 2, 32}, {160, 2, 80}, {192, 2, 96}, {224, 2, 112}};
    for (int[] shape : shapes) {
      LlamaModel model = model(Family.LLAMA, 1, shape[0], shape[1], 1);
      for (KvCacheType type : KvCacheType.values()) {
        if (!type.isQuantised()) {
          continue;
        }
        for (RopeScaling scaling :
            List.of(RopeScaling.none(), RopeScaling.yarn(4), RopeScaling.dualChunk())) {
          ContextOptions options = options().withKeyType(type).withRopeScaling(scaling);
          if (shape[2] % 32 == 0) {
            discardRefused(model, options, "64 does not divide");
          } else {
            contextRefused(model, options);
          }
        }
        if (shape[2] % 32 != 0) {
          contextRefused(model, options().withKeyType(type).withFlashAttention(FlashAttention.OFF));
          contextRefused(model, options().withValueType(type));
        }
      }
    }
  }

  @Test
  void recurrentAndHybridModels_cannotMove() {
    for (LlamaModel model :
        List.of(model(Family.MAMBA, 2, 128, 0, 0), model(Family.JAMBA, 2, 128, 2, 1))) {
      discardRefused(model, options(), "recurrent");
    }
  }

  @Test
  void slidingWindows_moveOnlyWhenAllCellsAreKept() {
    LlamaModel gemma = model(Family.GEMMA3, 6, 128, 2, 1);
    discardRefused(gemma, options(), "withFullSlidingWindow");
    ContextOptions full = options().withFullSlidingWindow(true);
    try (LlamaContext context = gemma.newContext(full);
        LlamaSession session = context.newSession()) {
      session.append(TOKENS);
      session.discard(3, 20);
      assertEquals(43, session.position());
      session.append(MORE);
      assertTrue(Double.isFinite(Differences.copy(session.logits())[0]));
    }
  }

  @Test
  void slidingWindowInEveryLayer_movesToo() {
    LlamaModel gemma = model(Family.GEMMA3, 5, 128, 2, 1); // no layer attends to the whole text
    for (KvCacheType type : List.of(KvCacheType.F16, KvCacheType.Q8_0)) {
      ContextOptions full = options().withFullSlidingWindow(true).withKeyType(type);
      try (LlamaContext context = gemma.newContext(full);
          LlamaSession session = context.newSession()) {
        session.append(TOKENS);
        session.discard(3, 20);
        assertEquals(43, session.position());
        session.append(MORE);
        assertTrue(Double.isFinite(Differences.copy(session.logits())[0]));
      }
    }
  }

  @Test
  void cellsOfSeveralSessions_doNotMove() {
    for (LlamaModel model : List.of(llama(), model(Family.GEMMA3, 6, 128, 2, 1))) {
      for (RopeScaling scaling : List.of(RopeScaling.modelDefault(), RopeScaling.yarn(4))) {
        ContextOptions options =
            options()
                .withContextTokens(512)
                .withMaxSequences(2)
                .withFullSlidingWindow(true)
                .withRopeScaling(scaling);
        try (LlamaContext context = model.newContext(options);
            LlamaSession session = context.newSession()) {
          session.append(TOKENS);
          double[][] expected = Differences.evaluate(session, MORE);
          session.truncate(60);
          try (LlamaSession fork = session.fork()) {
            fork.discard(3, 20);
            assertArrayEquals(TOKENS, session.tokens());
            fork.discard(33, 43);
            Differences.assertNear(
                "the trunk", expected, Differences.evaluate(session, MORE), 1e-4);
          }
          session.discard(3, 20);
          assertEquals(55, session.position());
        }
      }
    }
  }

  @Test
  void positionsOfSeveralAxes_areNotScaledOrMoved() {
    Path file =
        ReferenceFiles.severalAxes(
            ReferenceFiles.write(folder, Family.QWEN2, 1, 128, 2, 1), folder);
    try (LlamaModel model = LlamaModel.load(file)) {
      modelRefused(model, options().withRopeScaling(RopeScaling.rerope()));
      modelRefused(model, options().withRopeScaling(RopeScaling.yarn(4)));
      modelRefused(model, options().withRopeScaling(RopeScaling.dynamic()));
      discardRefused(model, options(), "several dimensions");
    }
  }

  @Test
  void twoBands_needFlashAttention_andOneKindOfLayer() {
    for (RopeScaling bands :
        List.of(
            RopeScaling.selfExtend(),
            RopeScaling.rerope(),
            RopeScaling.leakyReRope(),
            RopeScaling.dualChunk())) {
      contextRefused(
          llama(), options().withFlashAttention(FlashAttention.OFF).withRopeScaling(bands));
    }
    for (RopeScaling bands : List.of(RopeScaling.selfExtend(), RopeScaling.dualChunk())) {
      ContextOptions options = options().withRopeScaling(bands);
      modelRefused(model(Family.GEMMA3, 6, 128, 2, 1), options);
      modelRefused(model(Family.GEMMA3, 6, 128, 2, 1), options.withFullSlidingWindow(true));
      modelRefused(model(Family.MAMBA, 2, 128, 0, 0), options);
      modelRefused(model(Family.JAMBA, 2, 128, 2, 1), options);
    }
  }

  @Test
  void aChoiceOfTheBest_choosesWhatWorksWithoutFlashAttention() {
    ContextOptions off = options().withFlashAttention(FlashAttention.OFF);
    try (LlamaContext context = llama().newContext(off.withRopeScaling(RopeScaling.auto()))) {
      assertEquals(RopeScaling.yarn(4), context.ropeScaling());
    }
    try (LlamaContext context =
            llama().newContext(off.withRopeScaling(new Dynamic(Dynamic.Family.AUTO)));
        LlamaSession session = context.newSession()) {
      session.append(ReferenceFiles.tokens(100, 1));
      assertEquals(RopeScaling.yarn(2), context.ropeScaling());
    }
  }

  @Test
  void compressedKeys_haveNoTwoBands() {
    Path plain = ReferenceFiles.write(folder, Family.LLAMA, 1, 128, 2, 1);
    Path latent = folder.resolve("latent.gguf");
    GgufWriter.copyOf(GgufFile.open(plain))
        .put("llama.attention.kv_lora_rank", dev.gatun.gguf.GgufValue.uint32(64))
        .write(latent);
    try (LlamaModel model = LlamaModel.load(latent)) {
      modelRefused(model, options().withRopeScaling(RopeScaling.rerope()));
    }
  }

  @Test
  void modelsWithoutRotation_haveNoScaling() {
    for (LlamaModel model :
        List.of(model(Family.MAMBA, 2, 128, 0, 0), model(Family.JAMBA, 2, 128, 2, 1))) {
      for (RopeScaling scaling :
          List.of(
              RopeScaling.linear(2),
              RopeScaling.yarn(4),
              RopeScaling.dynamic(),
              RopeScaling.rerope(),
              FactorTable.of(1, 2),
              new RopeScaling.Frequency(500, 0))) {
        modelRefused(model, options().withRopeScaling(scaling));
      }
    }
  }

  @Test
  void aScalingThatFollowsTheLength_hasOneSequence() {
    for (Dynamic.Family family : Dynamic.Family.values()) {
      ContextOptions options = options().withRopeScaling(new Dynamic(family));
      contextRefused(llama(), options.withMaxSequences(2));
      contextRefused(llama(), options.withMaxSequences(2).withUnifiedKv(false));
      llama().newContext(options).close();
    }
  }

  @Test
  void tablesAndNumbersThatDoNotFit_areRefused() {
    contextRefused(llama(), options().withRopeScaling(FactorTable.of(1, 2, 3)));
    contextRefused(
        llama(),
        options()
            .withRopeScaling(
                new dev.gatun.rope.LongRope(List.of(1.0), List.of(2.0), 4, 0, Double.NaN)));
    contextRefused(llama(), options().withRopeScaling(new DualChunk(65, 10, false)));
    contextRefused(llama(), options().withRopeScaling(new DualChunk(20, 20, false)));
    contextRefused(llama(), options().withRopeScaling(new dev.gatun.rope.ReRope(64, false)));
    contextRefused(llama(), options().withRopeScaling(new dev.gatun.rope.SelfExtend(4, 64, false)));
  }

  @Test
  void oneToken_isNoContext() {
    assertThrows(IllegalArgumentException.class, () -> options().withContextTokens(1));
    try (LlamaContext context = llama().newContext(options().withContextTokens(2));
        LlamaSession session = context.newSession()) {
      session.append(5, 6);
      assertEquals(2, session.position());
    }
  }

  @Test
  void quantisedValues_needFlashAttention() {
    assertThrows(
        IllegalArgumentException.class,
        () -> options().withValueType(KvCacheType.Q8_0).withFlashAttention(FlashAttention.OFF));
  }

  private static SessionState state(LlamaModel model, ContextOptions options) {
    try (LlamaContext context = model.newContext(options);
        LlamaSession session = context.newSession()) {
      session.append(Arrays.copyOf(TOKENS, 40));
      return session.save();
    }
  }

  @Test
  void aState_isRestoredOnlyWhereItMeansTheSame() {
    ContextOptions options = options().withRopeScaling(RopeScaling.yarn(4));
    for (ContextOptions other :
        List.of(
            options.withRopeScaling(RopeScaling.yarn(2)),
            options.withRopeScaling(RopeScaling.linear(4)),
            options.withRopeScaling(RopeScaling.none()),
            options.withRopeScaling(RopeScaling.rerope()),
            options.withKeyType(KvCacheType.Q8_0),
            options.withKeyType(KvCacheType.F32),
            options.withValueType(KvCacheType.BF16),
            options.withFlashAttention(FlashAttention.OFF),
            options.withMaxSequences(2).withUnifiedKv(false))) {
      SessionState state = state(llama(), other);
      refused(StateFormatException.class, llama(), options, session -> session.restore(state));
    }
    SessionState foreign = state(model(Family.LLAMA, 2, 128, 2, 1), options);
    refused(StateFormatException.class, llama(), options, session -> session.restore(foreign));
  }

  @Test
  void aStateOfTwoBandsThatLookPlain_isNotOneOfPlainAttention() {
    // Up to the trained length it runs like no scaling, but its cells hold keys without rotation.
    SessionState dynamic =
        state(llama(), options().withRopeScaling(new Dynamic(Dynamic.Family.AUTO)));
    ContextOptions plain = options().withRopeScaling(RopeScaling.none());
    refused(StateFormatException.class, llama(), plain, session -> session.restore(dynamic));
    SessionState unscaled = state(llama(), plain);
    ContextOptions auto = options().withRopeScaling(new Dynamic(Dynamic.Family.AUTO));
    refused(StateFormatException.class, llama(), auto, session -> session.restore(unscaled));
  }

  @Test
  void aStateOfASlidingWindow_isNotOneOfAllCells() {
    LlamaModel gemma = model(Family.GEMMA3, 6, 128, 2, 1);
    SessionState window = state(gemma, options());
    refused(
        StateFormatException.class,
        gemma,
        options().withFullSlidingWindow(true),
        session -> session.restore(window));
    SessionState full = state(gemma, options().withFullSlidingWindow(true));
    refused(StateFormatException.class, gemma, options(), session -> session.restore(full));
  }

  @Test
  void aStateLongerThanASession_isRefused() {
    SessionState large;
    try (LlamaContext context = llama().newContext(options().withContextTokens(512));
        LlamaSession session = context.newSession()) {
      session.append(ReferenceFiles.tokens(256, 1));
      // The last token is not in the cells, which would fit.
      session.generate(GREEDY.withMaxTokens(1)).text();
      assertEquals(257, session.position());
      large = session.save();
    }
    refused(KvCacheFullException.class, llama(), options(), session -> session.restore(large));
  }

  @Test
  void aStateForWhichOthersLeftNoCells_leavesAnEmptySessionThatWorks() {
    ContextOptions options = options().withMaxSequences(2);
    try (LlamaContext context = llama().newContext(options);
        LlamaSession session = context.newSession();
        LlamaSession other = context.newSession()) {
      session.append(ReferenceFiles.tokens(100, 1));
      SessionState state = session.save();
      session.truncate(20);
      other.append(ReferenceFiles.tokens(200, 1));
      assertThrows(KvCacheFullException.class, () -> session.restore(state));
      assertEquals(0, session.position());
      session.append(MORE);
      assertEquals(MORE.length, session.position());
      assertEquals(200, other.position());
      other.clear();
      session.restore(state);
      assertEquals(100, session.position());
    }
  }

  @Test
  void rangesOutsideTheText_areRefused() {
    try (LlamaContext context = llama().newContext(options());
        LlamaSession session = context.newSession()) {
      session.append(TOKENS);
      for (Executable call :
          List.<Executable>of(
              () -> session.discard(-1, 4),
              () -> session.discard(5, 4),
              () -> session.discard(0, 61),
              () -> session.truncate(-1),
              () -> session.truncate(61))) {
        assertThrows(IndexOutOfBoundsException.class, call);
      }
      session.discard(7, 7);
      session.discard(0, 60);
      assertEquals(0, session.position());
    }
  }
}
