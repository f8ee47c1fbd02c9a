package dev.gatun.kv;

/**
 * Which neighbours stay with a token that is kept. What a model finds again is a run of tokens, not
 * the one that attention falls on.
 *
 * @param before most tokens before it
 * @param after most tokens after it
 * @param withinSentence whether they must belong to the same sentence
 */
public record Spans(int before, int after, boolean withinSentence) {
  private static final int MOST = 1 << 20;

  /** Checks the numbers. */
  public Spans {
    if (before < 0 || after < 0) {
      throw new IllegalArgumentException(
          "a span cannot have %d tokens before and %d after".formatted(before, after));
    }
  }

  /** Each token for itself. */
  public static Spans none() {
    return new Spans(0, 0, false);
  }

  /** So many tokens of the same sentence on each side. */
  public static Spans around(int before, int after) {
    return new Spans(before, after, true);
  }

  /** Whole sentences. */
  public static Spans sentences() {
    return new Spans(MOST, MOST, true);
  }
}
