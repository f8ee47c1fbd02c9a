package dev.gatun.cli;

import dev.gatun.LlamaModel;
import dev.gatun.eval.ContextScaling;
import dev.gatun.eval.EvalPoint;
import dev.gatun.eval.RecallOptions;
import dev.gatun.eval.Scoring;
import dev.gatun.eval.Stretch;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.function.ToDoubleFunction;

/** Compares position scalings: perplexity and pass key for each of them at each length. */
final class StretchCommand extends EvalCommand {
  private static final String[] DEFAULT_METHODS = {
    "none",
    "linear",
    "ntk",
    "by-parts",
    "yarn",
    "self-extend",
    "rerope",
    "leaky-rerope",
    "dual-chunk",
    "auto"
  };

  private final RecallFlags recall = new RecallFlags();
  private final PlotFlag plot;
  private int tokens = 16_384;
  private Scoring scoring = Scoring.secondHalf();

  StretchCommand() {
    this(ChartWriter::draw);
  }

  StretchCommand(ChartWriter charts) {
    plot = new PlotFlag(charts);
  }

  @Override
  String name() {
    return "stretch";
  }

  @Override
  String summary() {
    return "Compares position scalings past the trained length: perplexity and pass key";
  }

  @Override
  String footer() {
    return """
    Methods without a factor stretch by length / trained length.

      gatun stretch -m model.gguf --methods none,linear,yarn --lengths 2048-16384*2
    """;
  }

  @Override
  void declareMore(OptionTable table) {
    flags.declareLengths(
        table, "-c,--lengths", "Lengths in tokens (1, 2, 4 and 8 times the trained one).");
    table
        .value(
            "--tokens",
            "N",
            "Most tokens in the windows of one perplexity (16384).",
            v -> tokens = Values.whole("--tokens", v, 1, Integer.MAX_VALUE))
        .flag(
            "--whole-window",
            "Score the whole window, not its second half.",
            () -> scoring = Scoring.wholeWindow());
    recall.declare(table);
    plot.declare(
        table,
        "Draw perplexity over length (.png or .svg) and, beside it, pass keys found and the numbers"
            + " as .json.");
  }

  @Override
  List<Stretch> tasks(LlamaModel model, String text) {
    List<Integer> lengths = new ArrayList<>();
    for (int times = 1; times <= 8; times *= 2) {
      lengths.add(EvalFlags.trained(model, 1 << 26) * times);
    }
    return Stretch.tasks(
        model,
        flags.context(),
        flags.scalings(DEFAULT_METHODS),
        flags.lengths(lengths),
        text,
        new Stretch.Options(scoring, tokens, recall.options(RecallOptions.passkey())));
  }

  @Override
  List<EvalReport.Column> columns() {
    return List.of(
        EvalReport.Column.method(
            flags.scalings(DEFAULT_METHODS).stream().map(ContextScaling::label).toList()),
        EvalReport.Column.CONTEXT,
        EvalReport.Column.PERPLEXITY,
        EvalReport.Column.ERROR,
        EvalReport.Column.ACCURACY,
        EvalReport.Column.ANSWERS,
        EvalReport.Column.SECONDS);
  }

  @Override
  void finish(Io io, EvalReport report, boolean complete) {
    if (!complete || !plot.isGiven()) {
      return;
    }
    List<EvalPoint> points = report.points();
    Chart perplexity =
        new Chart.Lines(
            "Perplexity over length",
            "tokens",
            "perplexity",
            series(points, point -> point.perplexity().orElseThrow().perplexity()),
            true,
            true);
    Chart found =
        new Chart.Lines(
            "Pass keys found over length",
            "tokens",
            "share found",
            series(points, point -> point.recall().orElseThrow().accuracy()),
            true,
            false);
    io.note("chart: " + plot.draw(perplexity, ""));
    io.note("chart: " + plot.draw(found, "-found"));
    io.note("numbers: " + plot.writePoints(points));
  }

  private static SequencedMap<String, List<double[]>> series(
      List<EvalPoint> points, ToDoubleFunction<EvalPoint> y) {
    SequencedMap<String, List<double[]>> series = new LinkedHashMap<>();
    for (EvalPoint point : points) {
      double value = y.applyAsDouble(point);
      series
          .computeIfAbsent(point.method(), _ -> new ArrayList<>())
          .add(new double[] {point.contextTokens(), Double.isFinite(value) ? value : Double.NaN});
    }
    return series;
  }
}
