package dev.gatun;

import dev.gatun.kv.KvCacheType;
import dev.gatun.kv.KvSettings;
import dev.gatun.kv.SparseAttention;
import dev.gatun.rope.RopeScaling;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.function.Consumer;

/**
 * How a context is made. Immutable; start from {@link #defaults()}.
 *
 * @param contextTokens tokens that all sequences together can hold; empty means the trained length
 *     of the model
 * @param batchTokens most tokens in one decode call ({@code n_batch})
 * @param microBatchTokens most tokens computed at once ({@code n_ubatch}); sets the size of the
 *     compute buffers
 * @param maxSequences most sessions at a time
 * @param threads CPU threads for generation
 * @param batchThreads CPU threads for prefill
 * @param polling how the CPU threads wait for work: 0 sleeps, 100 spins
 * @param keyType type of the keys in the KV cache
 * @param valueType type of the values in the KV cache; a quantised one needs flash attention
 * @param flashAttention whether the fused attention kernel is used
 * @param ropeScaling position scaling
 * @param unifiedKv one pool of cells for all sequences, which can share a prefix; else each has its
 *     own share
 * @param offloadKv keeps the KV cache on the device of its layer
 * @param fullSlidingWindow keeps all cells of sliding-window layers, so that a sequence can be cut
 *     back further than the window
 * @param sparseAttention which keys a query meets
 * @param reproducible whether logits are the same bits wherever the cells of a session lie. Of
 *     itself attention sums in the order of the cells, and in a unified cache these depend on what
 *     other sessions did. It holds for calls of one session, which {@link LlamaSession}'s are; on
 *     the CPU with flash attention; not of sliding-window models. It is always so under two-band
 *     scalings ({@link dev.gatun.rope.TwoBand})
 */
public record ContextOptions(
    OptionalInt contextTokens,
    int batchTokens,
    int microBatchTokens,
    int maxSequences,
    int threads,
    int batchThreads,
    int polling,
    KvCacheType keyType,
    KvCacheType valueType,
    FlashAttention flashAttention,
    RopeScaling ropeScaling,
    boolean unifiedKv,
    boolean offloadKv,
    boolean fullSlidingWindow,
    SparseAttention sparseAttention,
    boolean reproducible) {

  private static final int MAX_THREADS = 512; // GGML_MAX_N_THREADS
  private static final int MAX_SEQUENCES = 256; // LLAMA_MAX_SEQ

  /** Checks the ranges. */
  public ContextOptions {
    // One token is refused because llama.cpp aborts on it (upstream #24098).
    if (contextTokens.isPresent()) {
      requireRange("contextTokens", contextTokens.getAsInt(), 2, Integer.MAX_VALUE - 256);
    }
    requireRange("batchTokens", batchTokens, 1, 1 << 20);
    requireRange("microBatchTokens", microBatchTokens, 1, 1 << 20);
    requireRange("maxSequences", maxSequences, 1, MAX_SEQUENCES);
    requireRange("threads", threads, 1, MAX_THREADS);
    requireRange("batchThreads", batchThreads, 1, MAX_THREADS);
    requireRange("polling", polling, 0, 100);
    Objects.requireNonNull(keyType, "keyType");
    Objects.requireNonNull(valueType, "valueType");
    Objects.requireNonNull(flashAttention, "flashAttention");
    Objects.requireNonNull(ropeScaling, "ropeScaling");
    Objects.requireNonNull(sparseAttention, "sparseAttention");
    if (!sparseAttention.isFull() && flashAttention == FlashAttention.OFF) {
      throw new IllegalArgumentException(
          "%s replaces the flash attention kernel; use FlashAttention.AUTO or ON"
              .formatted(sparseAttention.describe()));
    }
    if (reproducible && flashAttention == FlashAttention.OFF) {
      throw new IllegalArgumentException(
          "a reproducible context replaces the flash attention kernel; use FlashAttention.AUTO or ON");
    }
    if (valueType.isQuantised() && flashAttention == FlashAttention.OFF) {
      throw new IllegalArgumentException(
          "values of type %s need flash attention; use FlashAttention.ON or AUTO, or values of type F16"
              .formatted(valueType));
    }
  }

  /**
   * Returns the defaults: the trained length, one sequence, F16 cells, batches of 2,048 computed
   * 512 at a time, one thread for each core.
   */
  public static ContextOptions defaults() {
    int threads = defaultThreads();
    return new ContextOptions(
        OptionalInt.empty(),
        2048,
        512,
        1,
        threads,
        threads,
        50,
        KvCacheType.F16,
        KvCacheType.F16,
        FlashAttention.AUTO,
        RopeScaling.modelDefault(),
        true,
        true,
        false,
        SparseAttention.full(),
        false);
  }

  /**
   * Returns what decides the bytes of the context's memory.
   *
   * @param trainedTokens the trained length of the model; used when {@link #contextTokens()} is
   *     empty
   */
  public KvSettings kvSettings(int trainedTokens) {
    return new KvSettings(
        contextTokens.orElse(Math.max(2, trainedTokens)),
        batchTokens,
        microBatchTokens,
        maxSequences,
        keyType,
        valueType,
        flashAttention == FlashAttention.OFF,
        unifiedKv,
        fullSlidingWindow);
  }

  private static int defaultThreads() {
    int processors = Runtime.getRuntime().availableProcessors();
    return Math.clamp(processors <= 4 ? processors : processors / 2, 1, MAX_THREADS);
  }

  private static void requireRange(String name, int value, int low, int high) {
    if (value < low || value > high) {
      throw new IllegalArgumentException(
          name + " must be from " + low + " to " + high + ", but is " + value);
    }
  }

  /**
   * Returns a copy with room for this many tokens, over all sequences. More than the trained length
   * needs a {@link #withRopeScaling position scaling}.
   *
   * @param value tokens, at least 2
   */
  public ContextOptions withContextTokens(int value) {
    return with(draft -> draft.contextTokens = OptionalInt.of(value));
  }

  /** Returns a copy with room for the trained length of the model. */
  public ContextOptions withTrainedContext() {
    return with(draft -> draft.contextTokens = OptionalInt.empty());
  }

  /** Returns a copy with another {@link #batchTokens()}. */
  public ContextOptions withBatchTokens(int value) {
    return with(draft -> draft.batchTokens = value);
  }

  /** Returns a copy with another {@link #microBatchTokens()}. */
  public ContextOptions withMicroBatchTokens(int value) {
    return with(draft -> draft.microBatchTokens = value);
  }

  /** Returns a copy with another {@link #maxSequences()}. */
  public ContextOptions withMaxSequences(int value) {
    return with(draft -> draft.maxSequences = value);
  }

  /** Returns a copy with another {@link #threads()}. */
  public ContextOptions withThreads(int value) {
    return with(draft -> draft.threads = value);
  }

  /** Returns a copy with another {@link #batchThreads()}. */
  public ContextOptions withBatchThreads(int value) {
    return with(draft -> draft.batchThreads = value);
  }

  /** Returns a copy with another {@link #polling()}. */
  public ContextOptions withPolling(int value) {
    return with(draft -> draft.polling = value);
  }

  /** Returns a copy with another {@link #keyType()}. */
  public ContextOptions withKeyType(KvCacheType value) {
    return with(draft -> draft.keyType = value);
  }

  /** Returns a copy with another {@link #valueType()}. */
  public ContextOptions withValueType(KvCacheType value) {
    return with(draft -> draft.valueType = value);
  }

  /** Returns a copy with another {@link #flashAttention()}. */
  public ContextOptions withFlashAttention(FlashAttention value) {
    return with(draft -> draft.flashAttention = value);
  }

  /** Returns a copy with another {@link #ropeScaling()}. */
  public ContextOptions withRopeScaling(RopeScaling value) {
    return with(draft -> draft.ropeScaling = value);
  }

  /** Returns a copy with another {@link #unifiedKv()}. */
  public ContextOptions withUnifiedKv(boolean value) {
    return with(draft -> draft.unifiedKv = value);
  }

  /** Returns a copy with another {@link #offloadKv()}. */
  public ContextOptions withOffloadKv(boolean value) {
    return with(draft -> draft.offloadKv = value);
  }

  /** Returns a copy with another {@link #fullSlidingWindow()}. */
  public ContextOptions withFullSlidingWindow(boolean value) {
    return with(draft -> draft.fullSlidingWindow = value);
  }

  /**
   * Returns a copy with another {@link #sparseAttention()}. It needs flash attention, and all
   * layers on the CPU.
   */
  public ContextOptions withSparseAttention(SparseAttention value) {
    return with(draft -> draft.sparseAttention = value);
  }

  /**
   * Returns a copy with another {@link #reproducible()}. It needs flash attention, and all layers
   * on the CPU.
   */
  public ContextOptions withReproducible(boolean value) {
    return with(draft -> draft.reproducible = value);
  }

  /** The components, to be changed one by one. */
  private static final class Draft {
    OptionalInt contextTokens;
    int batchTokens;
    int microBatchTokens;
    int maxSequences;
    int threads;
    int batchThreads;
    int polling;
    KvCacheType keyType;
    KvCacheType valueType;
    FlashAttention flashAttention;
    RopeScaling ropeScaling;
    boolean unifiedKv;
    boolean offloadKv;
    boolean fullSlidingWindow;
    SparseAttention sparseAttention;
    boolean reproducible;

    Draft(ContextOptions from) {
      contextTokens = from.contextTokens;
      batchTokens = from.batchTokens;
      microBatchTokens = from.microBatchTokens;
      maxSequences = from.maxSequences;
      threads = from.threads;
      batchThreads = from.batchThreads;
      polling = from.polling;
      keyType = from.keyType;
      valueType = from.valueType;
      flashAttention = from.flashAttention;
      ropeScaling = from.ropeScaling;
      unifiedKv = from.unifiedKv;
      offloadKv = from.offloadKv;
      fullSlidingWindow = from.fullSlidingWindow;
      sparseAttention = from.sparseAttention;
      reproducible = from.reproducible;
    }

    ContextOptions build() {
      return new ContextOptions(
          contextTokens,
          batchTokens,
          microBatchTokens,
          maxSequences,
          threads,
          batchThreads,
          polling,
          keyType,
          valueType,
          flashAttention,
          ropeScaling,
          unifiedKv,
          offloadKv,
          fullSlidingWindow,
          sparseAttention,
          reproducible);
    }
  }

  private ContextOptions with(Consumer<Draft> change) {
    Draft draft = new Draft(this);
    change.accept(draft);
    return draft.build();
  }
}
