package dev.gatun.cli;

import dev.gatun.Cancellation;
import dev.gatun.LlamaModel;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.eval.EvalLog;
import dev.gatun.eval.EvalTask;
import dev.gatun.eval.Evaluation;
import java.util.List;

/** A command that measures quality: it says what to measure and how to show it. */
abstract class EvalCommand extends Command {
  final EvalFlags flags = new EvalFlags();

  @Override
  final void declare(OptionTable table) {
    flags.declare(table);
    declareMore(table);
    declareVerbose(table);
  }

  /** Declares the command's own flags. */
  abstract void declareMore(OptionTable table);

  /** Says what to measure. */
  abstract List<? extends EvalTask> tasks(LlamaModel model, String text);

  /** Says which columns the table has; none when {@link #finish} prints one. */
  abstract List<EvalReport.Column> columns();

  /** Writes what comes after the results, finished or interrupted. */
  void finish(Io io, EvalReport report, boolean complete) {}

  @Override
  final int call(Io io) {
    flags.model.path(); // a missing model is said before a large text is read
    SparseFlag.warn(io, flags.context().sparseAttention());
    SparseFlag.warnUnused(io, flags.context());
    String text = flags.text();
    Cancellation cancellation = Cancellation.create();
    try (Interrupts _ = Interrupts.cancelling(cancellation);
        EvalLog log = flags.log();
        LlamaModel model = flags.model.load(io, flags.json(), cancellation);
        EvalReport report = new EvalReport(io, name(), flags.json(), columns())) {
      try {
        Evaluation.run(tasks(model, text), log, cancellation, report);
      } catch (OperationCancelledException e) {
        report.interrupted();
        finish(io, report, false);
        throw e;
      }
      report.finished();
      finish(io, report, true);
    }
    return ExitCode.OK;
  }
}
