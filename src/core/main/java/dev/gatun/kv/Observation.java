package dev.gatun.kv;

/** Whose attention a policy looks at. */
public sealed interface Observation {
  /** Nobody's. */
  record None() implements Observation {}

  /**
   * That of the last tokens, which are read again for it; and, after them, of tokens that are
   * drafted and taken back.
   *
   * @param tokens how many tokens, at least 1; where the caller says how long the question is, that
   *     counts instead
   * @param before how many tokens before them are observed apart, to compare with; 0: none
   * @param draft how many tokens are drafted greedily; then only they are observed, not the last
   *     tokens
   */
  record Window(int tokens, int before, int draft) implements Observation {
    /** Checks the numbers. */
    public Window {
      if (tokens < 1 || before < 0 || draft < 0) {
        throw new IllegalArgumentException(
            "a window needs at least one token and no negative number: %d, %d, %d"
                .formatted(tokens, before, draft));
      }
    }

    /** The last tokens alone. */
    public static Window of(int tokens) {
      return new Window(tokens, 0, 0);
    }
  }

  /**
   * That of every token, added up since the session was empty. A session that did not observe from
   * its start reads everything again.
   */
  record Accumulated() implements Observation {}

  /**
   * That of the whole text when it is read a second time behind itself, part by part; costs about
   * one more prefill.
   *
   * @param chunk tokens of a part, at least 1: how many cells must be free, and how far positions
   *     go beyond the text
   */
  record Repeat(int chunk) implements Observation {
    /** Checks the number. */
    public Repeat {
      if (chunk < 1) {
        throw new IllegalArgumentException("a part has at least one token, but is " + chunk);
      }
    }
  }
}
