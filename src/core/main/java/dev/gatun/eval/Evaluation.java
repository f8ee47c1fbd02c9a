package dev.gatun.eval;

import dev.gatun.Cancellation;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Runs tasks one after the other. */
public final class Evaluation {
  private Evaluation() {}

  /**
   * Runs tasks in their order. Each finished point goes into the log before the next task begins; a
   * point that is there already is not measured again.
   *
   * @param tasks what to measure
   * @param log keeps the points
   * @param cancellation ends it, also inside a batch
   * @param listener is told of points and of how far it is
   * @return the points, in the order of the tasks
   * @throws dev.gatun.error.OperationCancelledException if it was cancelled; the listener and the
   *     log have the points that were finished
   */
  public static List<EvalPoint> run(
      List<? extends EvalTask> tasks,
      EvalLog log,
      Cancellation cancellation,
      EvalListener listener) {
    long total =
        tasks.stream()
            .filter(task -> log.find(task.identity()).isEmpty())
            .mapToLong(EvalTask::tokens)
            .sum();
    long before = 0;
    List<EvalPoint> points = new ArrayList<>(tasks.size());
    for (EvalTask task : tasks) {
      Optional<EvalPoint> known = log.find(task.identity());
      EvalPoint point;
      if (known.isPresent()) {
        point = known.get();
      } else {
        long start = before;
        point =
            task.run(
                cancellation, (done, soFar) -> listener.onProgress(start + done, total, soFar));
        log.append(task.identity(), point);
        before += task.tokens();
      }
      points.add(point);
      listener.onPoint(point);
    }
    return points;
  }
}
