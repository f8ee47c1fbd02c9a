package dev.gatun.rope;

/**
 * Leaky ReRoPE: beyond the window a distance grows more slowly. {@code a = i/s + w - w/s}, {@code b
 * = j/s}.
 *
 * <p>Source: Su, "Rectified Rotary Position Embeddings", kexue.fm/archives/9708, 2023.
 *
 * @param factor {@code s}, by what distances beyond the window are divided, at least 1; 0 takes the
 *     smallest that brings the context into the trained range
 * @param window distance in tokens from which on a key is far; 0 takes a quarter of the trained
 *     length
 * @param logN whether queries are multiplied by {@link TwoBand#logNFactor}
 */
public record LeakyReRope(double factor, int window, boolean logN) implements TwoBand {
  /** Checks the numbers. */
  public LeakyReRope {
    if (factor != 0) {
      Checks.factor(factor);
    }
    Checks.notNegative("the window", window);
  }

  @Override
  public LeakyReRope withLogN(boolean value) {
    return new LeakyReRope(factor, window, value);
  }

  @Override
  public boolean isResolved() {
    return factor > 0 && window > 0;
  }

  @Override
  public LeakyReRope resolved(int trainedTokens, int contextTokens) {
    int w = ReRope.window(window, trainedTokens, contextTokens);
    double s = factor;
    if (s == 0) {
      // From w + (n - 1 - w) / s = L - 1; a window that reaches the last position leaves no room.
      double room = Math.max(1, trainedTokens - 1 - w);
      s = Math.max(1, (contextTokens - 1.0 - w) / room);
    }
    return new LeakyReRope(s, w, logN);
  }

  @Override
  public boolean isNear(int query, int key) {
    return query - key < window;
  }

  @Override
  public double queryPosition(int query, int key) {
    return isNear(query, key) ? query : query / factor + window - window / factor;
  }

  @Override
  public double keyPosition(int query, int key) {
    return isNear(query, key) ? key : key / factor;
  }

  @Override
  public String describe() {
    return "leaky ReRoPE"
        + (factor == 0 ? "" : " with factor " + Checks.shown(factor))
        + ReRope.suffix(window, logN);
  }
}
