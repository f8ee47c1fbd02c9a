package dev.gatun.kv;

/**
 * Decides which tokens of a session stay when its KV cells are cut to a budget. Implement it for a
 * policy of your own: say what you need, and return a score for each token. What is always kept,
 * the budget and the filling of spans are not the policy's business; see {@link EvictionSelection}.
 *
 * <p>A cell serves all layers and heads, so that a token is dropped in all of them or in none.
 *
 * <p>Immutable; any thread. {@link #score} runs inside a call of the session.
 */
public interface EvictionPolicy {
  /** Returns its name with its numbers, as {@link #parse} reads it. */
  String name();

  /** Returns what has to be known before {@link #score} can be called. */
  EvictionNeeds needs();

  /** Returns which neighbours stay with a token. */
  default Spans spans() {
    return Spans.none();
  }

  /**
   * Scores the tokens.
   *
   * @param view the tokens and what was asked for by {@link #needs}
   * @return one number for each token of the view; the highest stay
   */
  float[] score(EvictionView view);

  /**
   * Reads a policy: {@code h2o}, {@code snapkv:64/5}, {@code tova}, {@code keynorm}, {@code
   * keydiff}, {@code expected}, {@code kvzip:64}, {@code spans:15}, {@code sentences}, {@code
   * contrast}, {@code lookahead:8}, {@code random:SEED}, {@code recent}.
   *
   * @throws IllegalArgumentException if it names none; the message lists them
   */
  static EvictionPolicy parse(String text) {
    return EvictionSpec.parse(text);
  }
}
