package dev.gatun.sampling;

import java.util.OptionalInt;

/**
 * The candidates for the next token, read and written in place in native memory: nothing is copied.
 * Valid during one call of {@link CandidateFunction#apply} and on its thread only; afterwards every
 * method throws {@link IllegalStateException}.
 *
 * <p>An index counts from 0 to {@link #size()} - 1, unless said otherwise in the order that the
 * sampler before left. The first sampler of a chain sees every token of the vocabulary, token
 * {@code i} at index {@code i}.
 */
public interface Candidates {
  /** Returns how many candidates there are; at least 1. */
  int size();

  /** Tells whether the logits fall with the index. */
  boolean isSorted();

  /**
   * Returns a candidate's token id.
   *
   * @throws IndexOutOfBoundsException if {@code index} is not below {@link #size()}
   */
  int token(int index);

  /**
   * Returns a candidate's logit; negative infinity when it was dropped.
   *
   * @throws IndexOutOfBoundsException if {@code index} is not below {@link #size()}
   */
  float logit(int index);

  /**
   * Sets a candidate's logit; negative infinity drops it. The candidates then count as unsorted.
   *
   * @throws IndexOutOfBoundsException if {@code index} is not below {@link #size()}
   * @throws IllegalArgumentException if the logit is not a number or positive infinity
   */
  void setLogit(int index, float logit);

  /**
   * Returns a candidate's probability as the last {@link #softmax()}, or a sampler before that
   * computed probabilities, left it; 0 when there was none.
   *
   * @throws IndexOutOfBoundsException if {@code index} is not below {@link #size()}
   */
  float probability(int index);

  /** Computes the probabilities of all candidates from their logits. */
  void softmax();

  /**
   * Exchanges two candidates. The candidates then count as unsorted.
   *
   * @throws IndexOutOfBoundsException if an index is not below {@link #size()}
   */
  void swap(int first, int second);

  /**
   * Keeps the first {@code count} candidates.
   *
   * @throws IllegalArgumentException if {@code count} is not from 1 to {@link #size()}
   */
  void retain(int count);

  /** Returns the index that was selected; empty when none was. */
  OptionalInt selected();

  /**
   * Selects the next token.
   *
   * @throws IndexOutOfBoundsException if {@code index} is not below {@link #size()}
   */
  void select(int index);
}
