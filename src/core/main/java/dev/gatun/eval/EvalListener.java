package dev.gatun.eval;

/** Is told how far an {@link Evaluation} is. Runs on its thread. */
public interface EvalListener {
  /**
   * Takes the state of the evaluation.
   *
   * @param done tokens read, without those of points that the log had
   * @param total tokens to read, without those of points that the log had
   * @param soFar the point being measured, as far as it is
   */
  void onProgress(long done, long total, EvalPoint soFar);

  /**
   * Takes a finished point.
   *
   * @param point the point, measured or found in the log
   */
  void onPoint(EvalPoint point);
}
