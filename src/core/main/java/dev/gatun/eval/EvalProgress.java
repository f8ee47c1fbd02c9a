package dev.gatun.eval;

/** Is told how far a task is. Runs on the task's thread. */
@FunctionalInterface
public interface EvalProgress {
  /**
   * Takes the state of a task.
   *
   * @param done tokens read, up to {@link EvalTask#tokens()}
   * @param soFar what has been measured so far; its result is empty before the first token is
   *     scored or the first question answered
   */
  void onProgress(long done, EvalPoint soFar);
}
