package dev.gatun.cli;

import dev.gatun.LlamaModel;
import dev.gatun.eval.ContextScaling;
import dev.gatun.eval.EvalConfiguration;
import dev.gatun.eval.EvalPoint;
import dev.gatun.eval.Recall;
import dev.gatun.eval.RecallOptions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Hides facts at chosen depths of texts of chosen lengths, and asks for them. */
final class NeedleCommand extends EvalCommand {
  private static final int DEFAULT_TOKENS = 2048;
  private static final List<Double> DEFAULT_DEPTHS = List.of(0.0, 0.25, 0.5, 0.75, 1.0);

  private final RecallFlags recall = new RecallFlags();
  private final PlotFlag plot;
  private int needles = 1;
  private boolean askAll;

  NeedleCommand() {
    this(ChartWriter::draw);
  }

  NeedleCommand(ChartWriter charts) {
    plot = new PlotFlag(charts);
  }

  @Override
  String name() {
    return "needle";
  }

  @Override
  String summary() {
    return "Measures at which lengths and depths a model finds facts in a text";
  }

  @Override
  String footer() {
    return """
    One table for each method: rows are depths, columns lengths, cells the share of right answers.

      gatun needle --lengths 256-4096*2 --rope yarn --needles 3 --ask all
    """;
  }

  @Override
  void declareMore(OptionTable table) {
    flags.declareLengths(
        table,
        "-c,--lengths",
        "Tokens of prompt and answer, one number or several (the trained length, at most 2048).");
    recall.declareDepths(
        table,
        "Where the first fact is, 0 at the beginning, 1 at the end (0,0.25,0.5,0.75,1); others are"
            + " at random places.");
    table
        .value(
            "--needles",
            "N",
            "Facts in each text: pass keys, places of things, towns, work (1).",
            v -> needles = Values.whole("--needles", v, 1, 30))
        .value(
            "--ask",
            "one|all",
            "Ask for the first fact, or for all of them one after the other (one).",
            v -> askAll = Values.word("--ask", v, List.of("one", "all")).equals("all"));
    recall.declare(table);
    plot.declare(table, "Draw a heat map (.png or .svg), with its numbers as .json beside it.");
  }

  private List<Double> depths() {
    return recall.depths().isEmpty() ? DEFAULT_DEPTHS : recall.depths();
  }

  @Override
  List<Recall> tasks(LlamaModel model, String text) {
    RecallOptions options = recall.options(RecallOptions.needles(needles)).withAskAll(askAll);
    List<Integer> lengths = flags.lengths(List.of(EvalFlags.trained(model, DEFAULT_TOKENS)));
    List<Recall> tasks = new ArrayList<>();
    for (ContextScaling scaling : flags.scalings("model")) {
      tasks.addAll(
          Recall.grid(
              new EvalConfiguration(model, flags.context(), scaling),
              text,
              lengths,
              depths(),
              options));
    }
    return tasks;
  }

  @Override
  List<EvalReport.Column> columns() {
    return List.of();
  }

  @Override
  void finish(Io io, EvalReport report, boolean complete) {
    List<String> methods = report.points().stream().map(EvalPoint::method).distinct().toList();
    for (String method : methods) {
      List<EvalPoint> points =
          report.points().stream().filter(point -> point.method().equals(method)).toList();
      List<Integer> lengths = points.stream().map(EvalPoint::contextTokens).distinct().toList();
      double[][] cells = cells(points, lengths);
      if (!flags.json()) {
        io.print(
            (method.equals(methods.getFirst()) ? "" : "\n")
                + "method "
                + method
                + "\n"
                + table(lengths, cells));
      }
      if (complete && plot.isGiven()) {
        Chart chart =
            new Chart.Heatmap(
                "Facts found, " + method,
                "tokens",
                "depth",
                lengths.stream().map(Values::grouped).toList(),
                depths().stream().map(depth -> EvalReport.decimal(depth, 2)).toList(),
                cells);
        io.note("chart: " + plot.draw(chart, methods.size() == 1 ? "" : "-" + fileName(method)));
      }
    }
    if (complete && plot.isGiven()) {
      io.note("numbers: " + plot.writePoints(report.points()));
    }
  }

  private static String fileName(String method) {
    return method.replaceAll("[^A-Za-z0-9.]+", "-");
  }

  /** Returns accuracies by depth and length; NaN where nothing was measured. */
  private double[][] cells(List<EvalPoint> points, List<Integer> lengths) {
    double[][] cells = new double[depths().size()][lengths.size()];
    for (double[] row : cells) {
      Arrays.fill(row, Double.NaN);
    }
    for (EvalPoint point : points) {
      int row = depths().indexOf(point.depth().orElseThrow());
      cells[row][lengths.indexOf(point.contextTokens())] = point.recall().orElseThrow().accuracy();
    }
    return cells;
  }

  private String table(List<Integer> lengths, double[][] cells) {
    String[] headings = new String[lengths.size() + 1];
    headings[0] = "depth \\ tokens";
    for (int i = 0; i < lengths.size(); i++) {
      headings[i + 1] = Values.grouped(lengths.get(i));
    }
    Table table = new Table(headings);
    for (int row = 0; row < cells.length; row++) {
      String[] line = new String[lengths.size() + 1];
      line[0] = EvalReport.decimal(depths().get(row), 2);
      for (int i = 0; i < lengths.size(); i++) {
        double cell = cells[row][i];
        line[i + 1] = Double.isNaN(cell) ? "-" : EvalReport.decimal(100 * cell, 1) + " %";
      }
      table.row(line);
    }
    return table.toString();
  }
}
