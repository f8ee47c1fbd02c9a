package dev.gatun.sampling;

/**
 * A sampler's work in Java. One instance may serve several generations at once; keep state in an
 * instance of its own for each.
 */
@FunctionalInterface
public interface CandidateFunction {
  /**
   * Changes the candidates. Must not use the context that is generating.
   *
   * @param candidates valid during this call and on this thread only
   */
  void apply(Candidates candidates);

  /**
   * Is told which token the whole chain chose.
   *
   * @param token its id
   */
  default void accept(int token) {}

  /** Is told that the generation starts anew. */
  default void reset() {}
}
