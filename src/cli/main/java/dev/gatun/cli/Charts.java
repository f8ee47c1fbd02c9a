package dev.gatun.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.SequencedMap;

/**
 * Draws results as a picture: a grid of values between 0 and 1, or lines. The file's extension
 * chooses the format. This class itself loads nothing of AWT, so that {@link #check} costs nothing.
 */
final class Charts {
  /** What a chart can be written as. */
  enum Format {
    PNG,
    SVG
  }

  private Charts() {}

  /**
   * Refuses a file that no chart could be written to; to be asked before the work whose result is
   * drawn.
   *
   * @throws CliException if the extension is neither .png nor .svg, or the folder is not there or
   *     not writable
   */
  static void check(Path file) {
    format(file);
    Path folder = folder(file);
    if (!Files.isDirectory(folder)) {
      throw CliException.file(
          "cannot write " + file + ": there is no folder " + folder + "; make it or name another");
    }
    if (!Files.isWritable(folder) || Files.isDirectory(file)) {
      throw CliException.file(
          "cannot write "
              + file
              + ": "
              + (Files.isDirectory(file) ? "it is a folder" : folder + " is not writable")
              + "; name another file");
    }
  }

  /**
   * Draws a grid with its values, on a scale from red (0) over yellow to green (1). It measures 900
   * by 600 pixels and grows where the cells would become too small to read.
   *
   * @param xLabels one for each column, from left to right
   * @param yLabels one for each row, from top to bottom
   * @param values {@code [y][x]}, from 0 to 1; NaN is a missing cell
   * @param file where the chart goes, .png or .svg; replaced when it is there, as a whole or not at
   *     all
   * @throws IllegalArgumentException if there is no cell, the shapes differ, or a value is out of
   *     range
   * @throws CliException if the file cannot be written, or the machine has no fonts
   */
  static void heatmap(
      String title,
      String xTitle,
      String yTitle,
      List<String> xLabels,
      List<String> yLabels,
      double[][] values,
      Path file) {
    check(file);
    requireGrid(xLabels, yLabels, values);
    ChartFile.prepare();
    ChartFile.write(HeatmapChart.of(title, xTitle, yTitle, xLabels, yLabels, values), file);
  }

  /**
   * Draws lines with a mark at each point, 900 by 600 pixels. A NaN leaves a gap. A point that a
   * logarithmic axis has no place for (0 or less) is left out, and the chart says so.
   *
   * @param series name to points {@code {x, y}}, drawn in the order given; up to 16 have colours of
   *     their own
   * @param logX whether the x axis is logarithmic
   * @param logY whether the y axis is logarithmic
   * @param file where the chart goes, .png or .svg; replaced when it is there, as a whole or not at
   *     all
   * @throws IllegalArgumentException if no point can be drawn or one is not a pair of numbers
   * @throws CliException if the file cannot be written, or the machine has no fonts
   */
  static void lines(
      String title,
      String xTitle,
      String yTitle,
      SequencedMap<String, List<double[]>> series,
      boolean logX,
      boolean logY,
      Path file) {
    check(file);
    for (List<double[]> points : series.values()) {
      for (double[] point : points) {
        if (point.length != 2 || Double.isInfinite(point[0]) || Double.isInfinite(point[1])) {
          throw new IllegalArgumentException("a point of a chart is a pair of finite numbers");
        }
      }
    }
    ChartFile.prepare();
    ChartFile.write(LinesChart.of(title, xTitle, yTitle, series, logX, logY), file);
  }

  /**
   * Returns what the extension asks for.
   *
   * @throws CliException if it is neither .png nor .svg
   */
  static Format format(Path file) {
    String name = file.toString().toLowerCase(Locale.ROOT);
    if (name.endsWith(".png")) {
      return Format.PNG;
    }
    if (name.endsWith(".svg")) {
      return Format.SVG;
    }
    throw CliException.usage(
        "a chart is written as .png or .svg, and " + file + " ends in neither; rename it");
  }

  /** The folder that the file lies in. */
  static Path folder(Path file) {
    Path folder = file.toAbsolutePath().getParent();
    return folder == null ? Path.of("") : folder;
  }

  private static void requireGrid(List<String> xLabels, List<String> yLabels, double[][] values) {
    if (xLabels.isEmpty() || yLabels.isEmpty() || values.length != yLabels.size()) {
      throw new IllegalArgumentException(
          "a grid of " + values.length + " rows has " + yLabels.size() + " labels for them");
    }
    for (double[] row : values) {
      if (row.length != xLabels.size()) {
        throw new IllegalArgumentException(
            "a row of " + row.length + " cells has " + xLabels.size() + " labels for them");
      }
      for (double value : row) {
        if (value < 0 || value > 1) {
          throw new IllegalArgumentException("a cell is from 0 to 1 or NaN, not " + value);
        }
      }
    }
  }
}
