package dev.gatun.rope;

/**
 * Self-Extend: far positions are counted in groups. {@code a = ⌊i/G⌋ + w - ⌊w/G⌋}, {@code b =
 * ⌊j/G⌋}.
 *
 * <p>Source: Jin et al., "LLM Maybe LongLM: Self-Extend LLM Context Window Without Tuning", 2024,
 * algorithm 1.
 *
 * @param group tokens of a group; 0 takes the smallest that brings the context into the trained
 *     range
 * @param window distance in tokens from which on a key is far; 0 takes a quarter of the trained
 *     length
 * @param logN whether queries are multiplied by {@link TwoBand#logNFactor}
 */
public record SelfExtend(int group, int window, boolean logN) implements TwoBand {
  /** Checks the numbers. */
  public SelfExtend {
    Checks.notNegative("the group", group);
    Checks.notNegative("the window", window);
  }

  @Override
  public SelfExtend withLogN(boolean value) {
    return new SelfExtend(group, window, value);
  }

  @Override
  public boolean isResolved() {
    return group > 0 && window > 0;
  }

  @Override
  public SelfExtend resolved(int trainedTokens, int contextTokens) {
    int w = ReRope.window(window, trainedTokens, contextTokens);
    int g = Math.max(1, group);
    // Ends: with the last token's group at 0, it is rotated to w, and w is below the trained
    // length.
    while (group == 0 && far(contextTokens - 1, g, w) >= trainedTokens) {
      g++;
    }
    return new SelfExtend(g, w, logN);
  }

  @Override
  public boolean isNear(int query, int key) {
    return query - key < window;
  }

  @Override
  public double queryPosition(int query, int key) {
    return isNear(query, key) ? query : far(query, group, window);
  }

  @Override
  public double keyPosition(int query, int key) {
    return isNear(query, key) ? key : key / group;
  }

  @Override
  public String describe() {
    return "Self-Extend with "
        + (group == 0 ? "groups" : "groups of " + group)
        + ReRope.suffix(window, logN);
  }

  private static int far(int query, int group, int window) {
    return query / group + window - window / group;
  }
}
