package dev.gatun;

import dev.gatun.error.ContextCreateException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.kv.KvCacheType;
import dev.gatun.rope.Dynamic;
import java.util.Optional;

/** What a context refuses because llama.cpp would abort on it, or do something else than asked. */
final class ContextChecks {
  private ContextChecks() {}

  /** Refuses models that no context can be made of, and batches too small for the sequences. */
  static void requireUsable(LlamaModel model, ContextOptions options, int contextTokens) {
    if (model.metadata().isVocabularyOnly() || model.options().vocabularyOnly()) {
      throw new ContextCreateException(
          "the model was loaded without weights; load it without withVocabularyOnly");
    }
    if (model.hasEncoder()) {
      throw new UnsupportedOperationForModelException(
          "encoder-decoder models such as %s are not supported; use a decoder-only model"
              .formatted(model.description()));
    }
    // llama.cpp keeps room for as many outputs as a batch has, and aborts on more sequences.
    int batch = Math.min(contextTokens, options.batchTokens());
    if (batch < options.maxSequences()) {
      throw new ContextCreateException(
          "a batch of %,d tokens has no token for each of %,d sequences; raise batchTokens and contextTokens to at least %,d, or lower maxSequences"
              .formatted(batch, options.maxSequences(), options.maxSequences()));
    }
  }

  /** Refuses scalings that the other options keep from working. */
  static void requireScalable(ContextOptions options, PositionScaling scaling) {
    if (scaling.hasFarKeys() && options.flashAttention() == FlashAttention.OFF) {
      throw new ContextCreateException(
          "%s replaces the flash attention kernel; use FlashAttention.AUTO or ON"
              .formatted(options.ropeScaling().describe()));
    }
    if (options.ropeScaling() instanceof Dynamic && options.maxSequences() > 1) {
      throw new ContextCreateException(
          "a scaling that follows the length changes the positions of every sequence; make the context withMaxSequences(1), or choose a scaling for the longest text");
    }
  }

  /** Refuses what our own attention kernel would have to do where it cannot run. */
  static void requireOwnKernel(LlamaModel model, ContextOptions options) {
    if (options.reproducible() && model.slidingWindowTokens() > 0) {
      throw new UnsupportedOperationForModelException(
          "the sliding-window layers of %s sum in the order of their cells, so that no context of it is reproducible in a unified cache; use withUnifiedKv(false) in place of withReproducible(true)"
              .formatted(model.description()));
    }
    boolean sparse = !options.sparseAttention().isFull();
    if ((sparse || options.reproducible()) && !model.isOnCpu()) {
      throw new UnsupportedOperationForModelException(
          "%s works with all layers on the CPU only; load the model with GpuLayers.none()"
              .formatted(sparse ? options.sparseAttention().describe() : "a reproducible context"));
    }
  }

  /**
   * Refuses to move positions where llama.cpp would abort or corrupt the cells.
   *
   * @param canShift what {@code llama_memory_can_shift} says
   */
  static void requireShiftable(LlamaModel model, ContextOptions options, boolean canShift) {
    shiftRefusal(model, options, canShift)
        .ifPresent(
            reason -> {
              throw new UnsupportedOperationForModelException(
                  "this context of " + model.description() + " " + reason);
            });
  }

  private static Optional<String> shiftRefusal(
      LlamaModel model, ContextOptions options, boolean canShift) {
    KvCacheType keys = options.keyType();
    if (model.isRecurrent() || model.isHybrid()) {
      return Optional.of("keeps a recurrent state, which cannot forget a part of a text");
    }
    if (model.slidingWindowTokens() > 0 && !options.fullSlidingWindow()) {
      // In a small context llama.cpp would do it, but cells that come into the window again may
      // be gone.
      return Optional.of(
          "has sliding-window layers, whose cells can move only in a context made withFullSlidingWindow(true)");
    }
    if (!canShift) {
      return Optional.of("has positions of several dimensions, which cannot be moved");
    }
    if (keys == KvCacheType.BF16) {
      return Optional.of("cannot turn cached keys of type BF16; use F16, F32 or Q8_0");
    }
    if (keys.isQuantised()
        && (model.metadata().headSizeK().orElse(1) % 64 != 0
            || System.getenv("LLAMA_ATTN_ROT_DISABLE") != null)) {
      return Optional.of(
          "cannot turn quantised keys of a head size that 64 does not divide (or with LLAMA_ATTN_ROT_DISABLE set); use keys of type F16");
    }
    return Optional.empty();
  }
}
