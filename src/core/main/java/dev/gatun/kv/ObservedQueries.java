package dev.gatun.kv;

/**
 * Queries before the rotation. The array is shared, not copied: do not change it.
 *
 * @param tokens number of tokens
 * @param heads query heads of each layer
 * @param headSize elements of one query
 * @param values {@code [layer][token][head][element]}
 */
public record ObservedQueries(int tokens, int heads, int headSize, float[] values) {
  /** Returns where a query begins in {@link #values()}. */
  public int at(int layer, int token, int head) {
    return ((layer * tokens + token) * heads + head) * headSize;
  }
}
