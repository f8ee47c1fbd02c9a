package dev.gatun.eval;

/** Which tokens of a window count. Immutable values. */
public sealed interface Scoring {
  /**
   * The second half of each window, so that every scored token has some context: as {@code
   * llama-perplexity} does it.
   */
  record SecondHalf() implements Scoring {}

  /** All tokens of each window but the first two, which have no context worth the name. */
  record WholeWindow() implements Scoring {}

  /**
   * Windows that overlap: each begins {@code stride} tokens after the one before and its last
   * {@code stride} tokens are scored, so that every scored token has much context.
   *
   * @param stride tokens, at least 1 and fewer than the window
   */
  record Sliding(int stride) implements Scoring {
    /** Checks the stride. */
    public Sliding {
      if (stride < 1) {
        throw new IllegalArgumentException("the stride must be at least 1, but is " + stride);
      }
    }
  }

  /** Returns {@link SecondHalf}. */
  static Scoring secondHalf() {
    return new SecondHalf();
  }

  /** Returns {@link WholeWindow}. */
  static Scoring wholeWindow() {
    return new WholeWindow();
  }

  /**
   * Returns {@link Sliding}.
   *
   * @param stride tokens, at least 1 and fewer than the window
   */
  static Scoring sliding(int stride) {
    return new Sliding(stride);
  }
}
