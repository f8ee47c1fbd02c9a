package dev.gatun.cli;

import dev.gatun.LlamaModel;
import dev.gatun.eval.ContextScaling;
import dev.gatun.eval.EvalConfiguration;
import dev.gatun.eval.Recall;
import dev.gatun.eval.RecallOptions;
import java.util.ArrayList;
import java.util.List;

/** Hides one pass key in a text and asks for it. */
final class PasskeyCommand extends EvalCommand {
  private static final int DEFAULT_TOKENS = 2048;

  private final RecallFlags recall = new RecallFlags();

  @Override
  String name() {
    return "passkey";
  }

  @Override
  String summary() {
    return "Measures whether a model finds a pass key in a text";
  }

  @Override
  String footer() {
    return """
    Prompt and answer together have exactly the tokens of --lengths. An answer is right when the
    five digits are in it.

      gatun passkey --lengths 256,1024,4096 --rope none --rope yarn --trials 40
    """;
  }

  @Override
  void declareMore(OptionTable table) {
    flags.declareLengths(
        table,
        "-c,--lengths",
        "Tokens of prompt and answer, one number or several (the trained length, at most 2048).");
    recall.declareDepths(
        table, "Where the key is, 0 at the beginning, 1 at the end (a random place each time).");
    recall.declare(table);
  }

  @Override
  List<Recall> tasks(LlamaModel model, String text) {
    RecallOptions options = recall.options(RecallOptions.passkey());
    List<Integer> lengths = flags.lengths(List.of(EvalFlags.trained(model, DEFAULT_TOKENS)));
    List<Recall> tasks = new ArrayList<>();
    for (ContextScaling scaling : flags.scalings("model")) {
      EvalConfiguration configuration = new EvalConfiguration(model, flags.context(), scaling);
      if (recall.depths().isEmpty()) {
        lengths.forEach(length -> tasks.add(Recall.of(configuration, text, length, options)));
      } else {
        tasks.addAll(Recall.grid(configuration, text, lengths, recall.depths(), options));
      }
    }
    return tasks;
  }

  @Override
  List<EvalReport.Column> columns() {
    List<EvalReport.Column> columns = new ArrayList<>();
    columns.add(
        EvalReport.Column.method(
            flags.scalings("model").stream().map(ContextScaling::label).toList()));
    columns.add(EvalReport.Column.CONTEXT);
    if (!recall.depths().isEmpty()) {
      columns.add(
          new EvalReport.Column(
              "depth", 5, point -> EvalReport.decimal(point.depth().orElse(Double.NaN), 2)));
    }
    columns.add(EvalReport.Column.ACCURACY);
    columns.add(EvalReport.Column.ANSWERS);
    columns.add(EvalReport.Column.SECONDS);
    return columns;
  }
}
