package dev.gatun.kv;

/**
 * Which neighbours stay with a token that is kept. What a model finds again is a run of tokens, not
 * the one that attention falls on.
 *
 * @param before most tokens before it
 * @param after most tokens after it
 * @param withinSentence whether they must belong to the same sentence
 * @param shared whether the tokens of a sentence share the mean of their scores; only of whole
 *     sentences, {@link #sentenceMeans()}
 */
public record Spans(int before, int after, boolean withinSentence, boolean shared) {
  private static final int MOST = 1 << 20;

  /** Checks the numbers. */
  public Spans {
    if (before < 0 || after < 0) {
      throw new IllegalArgumentException(
          "a span cannot have %d tokens before and %d after".formatted(before, after));
    }
    if (shared && !(withinSentence && before == MOST && after == MOST)) {
      throw new IllegalArgumentException(
          "only whole sentences share their scores; take Spans.sentenceMeans()");
    }
  }

  /** Each token for itself. */
  public static Spans none() {
    return new Spans(0, 0, false, false);
  }

  /** So many tokens of the same sentence on each side. */
  public static Spans around(int before, int after) {
    return new Spans(before, after, true, false);
  }

  /** So many tokens on each side. */
  public static Spans fixed(int before, int after) {
    return new Spans(before, after, false, false);
  }

  /** Whole sentences, for the sake of their best token. */
  public static Spans sentences() {
    return new Spans(MOST, MOST, true, false);
  }

  /** Whole sentences, by the mean of their scores. */
  public static Spans sentenceMeans() {
    return new Spans(MOST, MOST, true, true);
  }
}
