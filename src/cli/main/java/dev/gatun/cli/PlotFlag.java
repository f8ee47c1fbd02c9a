package dev.gatun.cli;

import dev.gatun.eval.EvalPoint;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** The flag {@code --plot FILE}: a chart, and the numbers in it as JSON beside it. */
final class PlotFlag {
  private final ChartWriter writer;
  private @Nullable Path file;

  PlotFlag(ChartWriter writer) {
    this.writer = writer;
  }

  void declare(OptionTable table, String text) {
    table.value("--plot", "FILE", text, this::file);
  }

  void file(String name) {
    Path path = Path.of(name);
    Charts.check(path);
    file = path;
  }

  /** Whether a chart is wanted. */
  boolean isGiven() {
    return file != null;
  }

  /**
   * Draws a chart.
   *
   * @param chart what it shows
   * @param suffix put before the end of the name; empty for the first chart
   * @return where it is
   */
  Path draw(Chart chart, String suffix) {
    Path target = beside(suffix);
    writer.write(chart, target);
    return target;
  }

  /**
   * Writes the numbers beside the chart: an array of the objects of {@code --json}.
   *
   * @return where they are
   * @throws CliException if they cannot be written
   */
  Path writePoints(List<EvalPoint> points) {
    String name = beside("").toString();
    Path target = Path.of(name.substring(0, name.lastIndexOf('.')) + ".json");
    String text =
        points.stream().map(EvalPoint::toJson).collect(Collectors.joining(",\n", "[\n", "\n]\n"));
    try {
      Files.write(target, text.getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw CliException.file("cannot write " + target + " (" + e + "); name another file");
    }
    return target;
  }

  private Path beside(String suffix) {
    if (file == null) {
      throw new IllegalStateException("no chart is wanted");
    }
    String name = file.toString();
    int end = name.lastIndexOf('.');
    return Path.of(name.substring(0, end) + suffix + name.substring(end));
  }
}
