package dev.gatun.eval;

/**
 * What was evicted, and what the full cache reaches at the same. Immutable.
 *
 * @param policy name of the policy; {@code full} for the full cache itself
 * @param budget share of the cells that stay, 0 to 1: of all cells in use at the moment of the
 *     eviction, those of the question included when it is known
 * @param mode when it was evicted
 * @param cells mean number of cells that stayed
 * @param fullValue accuracy of the full cache, or its perplexity in mode {@link EvictionMode#TEXT}
 */
public record EvictionResult(
    String policy, double budget, EvictionMode mode, double cells, double fullValue) {
  /** The policy's name of the full cache. */
  public static final String FULL = "full";
}
