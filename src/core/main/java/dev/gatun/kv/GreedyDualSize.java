package dev.gatun.kv;

/**
 * What an entry of a cache is worth: a clock plus what it costs to make it again, for each byte
 * that it takes. The clock stands at the worth of the last entry that was evicted, so that an entry
 * which is not used grows old. Equal costs for each byte make it least recently used. Source: Cao
 * and Irani, Cost-Aware WWW Proxy Caching Algorithms (1997), algorithm GreedyDual-Size.
 *
 * <p>Thread: one at a time.
 */
public final class GreedyDualSize {
  private double clock;

  /** Creates one whose clock stands at zero. */
  public GreedyDualSize() {}

  /**
   * Returns the worth of an entry that is used now.
   *
   * @param cost to make it again, in any unit that is the same for all entries
   * @param bytes that it takes, at least 1
   * @throws IllegalArgumentException if the cost is negative or not finite, or there is no byte
   */
  public double worth(double cost, long bytes) {
    if (!(cost >= 0 && Double.isFinite(cost)) || bytes < 1) {
      throw new IllegalArgumentException(
          "a cost of %s for %d bytes is no cost of an entry".formatted(cost, bytes));
    }
    return clock + cost / bytes;
  }

  /** Tells that an entry of this worth was evicted: the clock goes on to it. */
  public void evicted(double worth) {
    clock = Math.max(clock, worth);
  }

  /**
   * Returns the cost to read tokens again, in tokens at the beginning of a text: the tokens
   * themselves, and the attention to all before them.
   *
   * @param start position of the first token
   * @param tokens number of tokens
   * @param attentionTokens number of tokens to attend to that costs as much as all else in a layer
   */
  public static double readingCost(int start, int tokens, double attentionTokens) {
    return tokens * (1 + (start + tokens / 2.0) / attentionTokens);
  }
}
