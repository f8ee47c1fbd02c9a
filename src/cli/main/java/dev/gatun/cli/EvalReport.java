package dev.gatun.cli;

import dev.gatun.eval.EvalListener;
import dev.gatun.eval.EvalPoint;
import dev.gatun.eval.PerplexityResult;
import dev.gatun.eval.RecallResult;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Shows results as they come: rows of a table or lines of JSON, and how long it will take. */
final class EvalReport implements EvalListener, AutoCloseable {
  private static final double NANOS = 1e9;

  /**
   * A column.
   *
   * @param heading its name
   * @param width least width
   * @param cell what a point has there
   */
  record Column(String heading, int width, Function<EvalPoint, String> cell) {
    static final Column CONTEXT =
        new Column("context", 9, point -> Values.grouped(point.contextTokens()));
    static final Column PERPLEXITY =
        new Column("perplexity", 11, point -> perplexity(point, PerplexityResult::perplexity));
    static final Column ERROR =
        new Column("\u00b1", 8, point -> perplexity(point, PerplexityResult::standardError));
    static final Column ACCURACY =
        new Column("found", 7, point -> point.recall().map(EvalReport::percent).orElse(""));
    static final Column ANSWERS =
        new Column(
            "answers",
            9,
            point -> point.recall().map(r -> r.correct() + "/" + r.asked()).orElse(""));
    static final Column SECONDS =
        new Column("seconds", 8, point -> decimal(point.time().toNanos() / NANOS, 1));

    /** The first column; as wide as the longest name. */
    static Column method(List<String> names) {
      int width = names.stream().mapToInt(String::length).max().orElse(0);
      return new Column("method", width, EvalPoint::method);
    }
  }

  private final Io io;
  private final boolean json;
  private final List<Column> columns;
  private final ProgressBar bar;
  private final long start = System.nanoTime();
  private final List<EvalPoint> points = new ArrayList<>();
  private @Nullable EvalPoint unfinished;

  /**
   * Begins.
   *
   * @param label what runs, for the progress line
   * @param columns of the table; none when the command prints a table of its own at the end
   */
  EvalReport(Io io, String label, boolean json, List<Column> columns) {
    this.io = io;
    this.json = json;
    this.columns = columns;
    this.bar = new ProgressBar(io, label);
  }

  @Override
  public void onProgress(long done, long total, EvalPoint soFar) {
    unfinished = soFar;
    double fraction = (double) done / total;
    double seconds = (System.nanoTime() - start) / NANOS;
    bar.update(
        fraction,
        Values.duration(seconds / fraction - seconds)
            + " left; "
            + soFar.method()
            + " at "
            + Values.grouped(soFar.contextTokens())
            + soFar(soFar));
  }

  private static String soFar(EvalPoint point) {
    if (point.recall().isPresent()) {
      return ": " + percent(point.recall().get());
    }
    return point.perplexity().map(p -> ": " + decimal(p.perplexity(), 2)).orElse("");
  }

  @Override
  public void onPoint(EvalPoint point) {
    unfinished = null;
    bar.close();
    if (json) {
      io.line(point.toJson());
    } else if (!columns.isEmpty()) {
      if (points.isEmpty()) {
        io.line(line(Column::heading));
      }
      io.line(line(column -> column.cell().apply(point)));
    }
    points.add(point);
  }

  private String line(Function<Column, String> cell) {
    StringBuilder line = new StringBuilder();
    for (Column column : columns) {
      int width = Math.max(column.width(), column.heading().length());
      String text = cell.apply(column);
      String space = " ".repeat(Math.max(0, width - text.length()));
      line.append(line.isEmpty() ? text + space : "  " + space + text);
    }
    return line.toString().stripTrailing();
  }

  /** Returns the finished points. */
  List<EvalPoint> points() {
    return points;
  }

  /** Takes the progress line away. */
  void finished() {
    bar.close();
  }

  /** Tells what the point that was not finished said so far. */
  void interrupted() {
    bar.close();
    if (unfinished != null && !soFar(unfinished).isEmpty()) {
      io.note(
          unfinished.method()
              + " at "
              + Values.grouped(unfinished.contextTokens())
              + ", as far as it was measured"
              + soFar(unfinished)
              + unfinished
                  .perplexity()
                  .map(p -> " over " + Values.grouped(p.tokens()) + " tokens")
                  .orElse(""));
    }
  }

  @Override
  public void close() {
    bar.close();
  }

  static String percent(RecallResult recall) {
    return decimal(100 * recall.accuracy(), 1) + " %";
  }

  private static String perplexity(EvalPoint point, Function<PerplexityResult, Double> part) {
    return point.perplexity().map(result -> decimal(part.apply(result), 3)).orElse("");
  }

  static String decimal(double number, int digits) {
    return Double.isFinite(number)
        ? String.format(Locale.ROOT, "%,." + digits + "f", number)
        : Double.toString(number);
  }
}
