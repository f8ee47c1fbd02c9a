package dev.gatun.rope;

/**
 * A scaling that rotates near and far keys differently: a query sees near keys at their true
 * distance, and far keys through positions that stay in the trained range. No frequency changes.
 *
 * <p>With {@code i} the position of a query, {@code j <= i} that of a key and {@code R(p)} the
 * rotation by {@code p}, the score is {@code R(queryPosition)q · R(keyPosition)k}. Every method
 * here moves a far key to a place that depends on {@code j} alone, and the cache holds it there;
 * near keys are turned from it when they are met. It works on the CPU, with flash attention, for
 * models whose layers all attend to the whole text.
 *
 * <p>A parameter that is 0 is chosen for the model and the context by {@link #resolved}. The
 * functions of positions ask for a resolved value.
 */
public sealed interface TwoBand extends RopeScaling
    permits SelfExtend, ReRope, LeakyReRope, DualChunk {
  /**
   * Returns whether queries are multiplied by {@link #logNFactor}, which keeps attention sharp
   * among many keys.
   *
   * <p>Source: Su, kexue.fm/archives/8823, 2021.
   */
  boolean logN();

  /** Returns a copy with or without log-n queries. */
  TwoBand withLogN(boolean value);

  /** Returns whether every parameter is chosen. */
  boolean isResolved();

  /**
   * Returns a copy whose parameters are all chosen.
   *
   * @param trainedTokens trained length of the model in tokens, at least 2
   * @param contextTokens length in tokens that is to be reached
   * @throws IllegalArgumentException if a parameter does not fit the model
   */
  TwoBand resolved(int trainedTokens, int contextTokens);

  /**
   * Returns whether a query sees a key at its true distance.
   *
   * @param query position of the query
   * @param key position of the key, 0 to {@code query}
   */
  boolean isNear(int query, int key);

  /** Returns where a query is rotated to for a key. Arguments as in {@link #isNear}. */
  double queryPosition(int query, int key);

  /** Returns where a key is rotated to for a query. Arguments as in {@link #isNear}. */
  double keyPosition(int query, int key);

  /**
   * Returns what a query is multiplied with under log-n: {@code max(1, ln(i+1) / ln L)}.
   *
   * @param query position of the query
   * @param trainedTokens {@code L}, at least 2
   */
  static double logNFactor(int query, int trainedTokens) {
    Checks.trained(trainedTokens);
    return Math.max(1, Math.log(query + 1.0) / Math.log(trainedTokens));
  }
}
