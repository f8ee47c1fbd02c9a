package dev.gatun.cli;

import dev.gatun.LlamaModel;
import dev.gatun.eval.ContextScaling;
import dev.gatun.eval.EvalConfiguration;
import dev.gatun.eval.EvalPoint;
import dev.gatun.eval.Perplexity;
import dev.gatun.eval.PerplexityOptions;
import dev.gatun.eval.PerplexityResult;
import dev.gatun.eval.Scoring;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** Measures perplexity as llama-perplexity does, and more. */
final class PerplexityCommand extends EvalCommand {
  /** As llama-perplexity, when nothing is asked for. */
  private static final int DEFAULT_TOKENS = 512;

  private UnaryOperator<PerplexityOptions> wishes = UnaryOperator.identity();
  private boolean wholeWindow;
  private boolean sliding;
  private int bins;
  private @Nullable ContextScaling reference;

  @Override
  String name() {
    return "perplexity";
  }

  @Override
  String summary() {
    return "Measures how well a model foresees a text, as llama-perplexity does";
  }

  @Override
  String footer() {
    return """
    The text is cut into windows of -c tokens; the second half of each is scored. Lower is better.

      gatun perplexity -m model.gguf -f wiki.test.raw -c 512
      gatun perplexity -c 1024 --rope none --rope yarn --kl-against yarn
    """;
  }

  @Override
  void declareMore(OptionTable table) {
    flags.declareLengths(
        table,
        "-c,--ctx-size,--lengths",
        "Tokens of a window, one number or several (the trained length, at most 512).");
    table
        .value(
            "--chunks",
            "N",
            "Most windows; -1 for all (-1).",
            v -> {
              int most = Values.whole("--chunks", v, -1, Integer.MAX_VALUE);
              if (most == 0) {
                throw CliException.usage("--chunks must be at least 1, or -1 for all, not 0");
              }
              if (most > 0) {
                wish(options -> options.withWindows(most));
              }
            })
        .value(
            "--tokens",
            "N",
            "Most tokens in all windows together.",
            v -> {
              int most = Values.whole("--tokens", v, 1, Integer.MAX_VALUE);
              wish(options -> options.withTokenBudget(most));
            })
        .flag("--whole-window", "Score the whole window, not its second half.", this::whole)
        .value(
            "--stride,--ppl-stride",
            "N",
            "Windows that begin N tokens apart; the last N tokens of each are scored.",
            v -> {
              int stride = Values.whole("--stride", v, 0, Integer.MAX_VALUE);
              if (stride > 0) {
                sliding = true;
                wish(options -> options.withScoring(Scoring.sliding(stride)));
              }
            })
        .value(
            "--bins",
            "N",
            "Also report N parts of the window apart.",
            v -> {
              bins = Values.whole("--bins", v, 1, 1 << 20);
              wish(options -> options.withBins(bins));
            })
        .value(
            "--kl-against",
            "SPEC",
            "Also compare with another position scaling: Kullback-Leibler divergence, same top"
                + " token.",
            v -> reference = EvalFlags.scalings("--kl-against", v).getFirst());
  }

  private void wish(UnaryOperator<PerplexityOptions> wish) {
    UnaryOperator<PerplexityOptions> before = wishes;
    wishes = options -> wish.apply(before.apply(options));
  }

  private void whole() {
    wholeWindow = true;
    wish(options -> options.withScoring(Scoring.wholeWindow()));
  }

  @Override
  List<Perplexity> tasks(LlamaModel model, String text) {
    if (wholeWindow && sliding) {
      throw CliException.usage("--whole-window does not go with --stride; leave one of them out");
    }
    int[] tokens = Perplexity.tokens(model, text);
    List<Perplexity> tasks = new ArrayList<>();
    for (int length : flags.lengths(List.of(EvalFlags.trained(model, DEFAULT_TOKENS)))) {
      for (ContextScaling scaling : flags.scalings("model")) {
        Perplexity task =
            Perplexity.of(
                new EvalConfiguration(model, flags.context(), scaling),
                tokens,
                wishes.apply(PerplexityOptions.of(length)));
        tasks.add(
            reference == null
                ? task
                : task.against(new EvalConfiguration(model, flags.context(), reference)));
      }
    }
    return tasks;
  }

  @Override
  List<EvalReport.Column> columns() {
    List<EvalReport.Column> columns =
        new ArrayList<>(
            List.of(
                EvalReport.Column.method(
                    flags.scalings("model").stream().map(ContextScaling::label).toList()),
                EvalReport.Column.CONTEXT,
                EvalReport.Column.PERPLEXITY,
                EvalReport.Column.ERROR,
                new EvalReport.Column("tokens", 10, of(r -> Values.grouped(r.tokens()))),
                new EvalReport.Column("windows", 7, of(r -> Values.grouped(r.windows())))));
    if (reference != null) {
      columns.add(divergence("KL mean", d -> EvalReport.decimal(d.mean(), 6)));
      columns.add(divergence("KL max", d -> EvalReport.decimal(d.maximum(), 4)));
      columns.add(
          divergence("same top", d -> EvalReport.decimal(100 * d.topAgreement(), 2) + " %"));
    }
    columns.add(EvalReport.Column.SECONDS);
    return columns;
  }

  private static Function<EvalPoint, String> of(Function<PerplexityResult, String> cell) {
    return point -> point.perplexity().map(cell).orElse("");
  }

  private static EvalReport.Column divergence(
      String heading, Function<PerplexityResult.Divergence, String> cell) {
    return new EvalReport.Column(
        heading, 9, of(result -> result.divergence().map(cell).orElse("")));
  }

  @Override
  void finish(Io io, EvalReport report, boolean complete) {
    if (bins == 0 || flags.json()) {
      return;
    }
    for (EvalPoint point : report.points()) {
      Table table = new Table("position", "tokens", "perplexity");
      point
          .perplexity()
          .ifPresent(
              result ->
                  result
                      .bins()
                      .forEach(
                          bin ->
                              table.row(
                                  bin.from() + "-" + (bin.to() - 1),
                                  Values.grouped(bin.tokens()),
                                  EvalReport.decimal(bin.perplexity(), 3))));
      io.print(
          "\n" + point.method() + " at " + Values.grouped(point.contextTokens()) + "\n" + table);
    }
  }
}
