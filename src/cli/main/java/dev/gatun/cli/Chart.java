package dev.gatun.cli;

import java.util.List;
import java.util.Map;

/** What a chart shows. */
sealed interface Chart {
  /**
   * Values as colours.
   *
   * @param title above it
   * @param xLabels names of the columns
   * @param yLabels names of the rows
   * @param values rows of values from 0 to 1
   */
  record Heatmap(String title, List<String> xLabels, List<String> yLabels, double[][] values)
      implements Chart {}

  /**
   * Lines over one axis.
   *
   * @param title above it
   * @param xLabel name of the axis to the right
   * @param yLabel name of the axis upwards
   * @param series points of each line, by its name
   * @param logX whether the axis to the right is logarithmic
   * @param logY whether the axis upwards is logarithmic
   */
  record Lines(
      String title,
      String xLabel,
      String yLabel,
      Map<String, List<Point>> series,
      boolean logX,
      boolean logY)
      implements Chart {}

  /**
   * A point of a line.
   *
   * @param x how far to the right
   * @param y how far up
   */
  record Point(double x, double y) {}
}
