package dev.gatun.kv;

/**
 * What the observed queries attended to: softmax probabilities, by token of the view. Arrays are
 * shared, not copied: do not change them.
 *
 * @param queries number of observed queries
 * @param sums over queries, layers and heads
 * @param maxima over the same
 * @param last mean over layers and heads for the last observed query
 * @param headSums over queries, {@code [layer][head][token]}; empty unless asked for
 * @param headMaxima over queries, {@code [layer][head][token]}; empty unless asked for
 */
public record ObservedAttention(
    long queries,
    float[] sums,
    float[] maxima,
    float[] last,
    float[][][] headSums,
    float[][][] headMaxima) {
  /** Nothing observed. */
  public static ObservedAttention none(int tokens) {
    return new ObservedAttention(
        0,
        new float[tokens],
        new float[tokens],
        new float[tokens],
        new float[0][][],
        new float[0][][]);
  }
}
