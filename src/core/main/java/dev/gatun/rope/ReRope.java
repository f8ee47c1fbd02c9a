package dev.gatun.rope;

/**
 * ReRoPE: every far key is seen at the same distance, the window. {@code a = w}, {@code b = 0}.
 *
 * <p>Source: Su, "Rectified Rotary Position Embeddings", kexue.fm/archives/9708, 2023.
 *
 * @param window distance in tokens from which on a key is far; 0 takes a quarter of the trained
 *     length
 * @param logN whether queries are multiplied by {@link TwoBand#logNFactor}
 */
public record ReRope(int window, boolean logN) implements TwoBand {
  /** Checks the window. */
  public ReRope {
    Checks.notNegative("the window", window);
  }

  @Override
  public ReRope withLogN(boolean value) {
    return new ReRope(window, value);
  }

  @Override
  public boolean isResolved() {
    return window > 0;
  }

  @Override
  public ReRope resolved(int trainedTokens, int contextTokens) {
    return new ReRope(window(window, trainedTokens, contextTokens), logN);
  }

  @Override
  public boolean isNear(int query, int key) {
    return query - key < window;
  }

  @Override
  public double queryPosition(int query, int key) {
    return isNear(query, key) ? query : window;
  }

  @Override
  public double keyPosition(int query, int key) {
    return isNear(query, key) ? key : 0;
  }

  @Override
  public String describe() {
    return "ReRoPE" + suffix(window, logN);
  }

  /** Returns the window, a quarter of the trained length when it is not chosen; checked. */
  static int window(int window, int trainedTokens, int contextTokens) {
    Checks.trained(trainedTokens);
    Checks.context(contextTokens);
    int chosen = window == 0 ? Math.max(1, trainedTokens / 4) : window;
    Checks.window(chosen, trainedTokens);
    return chosen;
  }

  static String suffix(int window, boolean logN) {
    return (window == 0 ? "" : ", window " + window) + (logN ? ", log-n queries" : "");
  }
}
