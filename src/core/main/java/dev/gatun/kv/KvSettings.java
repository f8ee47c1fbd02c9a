package dev.gatun.kv;

import java.util.Objects;

/**
 * What a context asks of its memory, as far as that decides the bytes.
 *
 * @param contextTokens tokens that all sequences together can hold, before llama.cpp rounds up
 * @param batchTokens most tokens in one decode call
 * @param microBatchTokens most tokens computed at once
 * @param maxSequences most sequences at a time
 * @param keyType type of the keys
 * @param valueType type of the values
 * @param transposedValues whether values stand transposed, as they do without flash attention
 * @param unified one pool of cells for all sequences; else each has its own share
 * @param fullSlidingWindow whether sliding-window layers keep all cells
 */
public record KvSettings(
    int contextTokens,
    int batchTokens,
    int microBatchTokens,
    int maxSequences,
    KvCacheType keyType,
    KvCacheType valueType,
    boolean transposedValues,
    boolean unified,
    boolean fullSlidingWindow) {

  /** Checks that the numbers are positive. */
  public KvSettings {
    Objects.requireNonNull(keyType, "keyType");
    Objects.requireNonNull(valueType, "valueType");
    if (contextTokens < 1 || batchTokens < 1 || microBatchTokens < 1 || maxSequences < 1) {
      throw new IllegalArgumentException(
          "contextTokens, batchTokens, microBatchTokens and maxSequences must be positive, but are %d, %d, %d and %d"
              .formatted(contextTokens, batchTokens, microBatchTokens, maxSequences));
    }
  }

  /**
   * Returns a copy with room for this many tokens.
   *
   * @param value tokens, at least 1
   */
  public KvSettings withContextTokens(int value) {
    return new KvSettings(
        value,
        batchTokens,
        microBatchTokens,
        maxSequences,
        keyType,
        valueType,
        transposedValues,
        unified,
        fullSlidingWindow);
  }

  /** Returns a copy with cells of other types. */
  public KvSettings withTypes(KvCacheType keys, KvCacheType values) {
    return new KvSettings(
        contextTokens,
        batchTokens,
        microBatchTokens,
        maxSequences,
        keys,
        values,
        transposedValues,
        unified,
        fullSlidingWindow);
  }
}
