package dev.gatun.eval;

import dev.gatun.Cancellation;

/** One thing to measure. Immutable; {@link #run} drives a context of its own. */
public interface EvalTask {
  /**
   * Returns what decides about the result, in words: model, settings, text. Two tasks with the same
   * identity give the same point.
   */
  String identity();

  /** Returns how many tokens are read: the task's share of the work. */
  long tokens();

  /**
   * Measures.
   *
   * @param cancellation ends it, also inside a batch
   * @param progress called now and then
   * @throws dev.gatun.error.OperationCancelledException if it was cancelled
   * @throws dev.gatun.error.ContextCreateException if the context cannot be made
   */
  EvalPoint run(Cancellation cancellation, EvalProgress progress);

  /** Measures without an end from outside. */
  default EvalPoint run() {
    return run(Cancellation.never(), (_, _) -> {});
  }
}
