package dev.gatun.cli;

import java.util.List;
import java.util.SequencedMap;

/** What a chart shows. */
sealed interface Chart {
  /**
   * Values as colours.
   *
   * @param title above it
   * @param xTitle name of the axis to the right
   * @param yTitle name of the axis downwards
   * @param xLabels names of the columns
   * @param yLabels names of the rows
   * @param values rows of values from 0 to 1; NaN where there is none
   */
  record Heatmap(
      String title,
      String xTitle,
      String yTitle,
      List<String> xLabels,
      List<String> yLabels,
      double[][] values)
      implements Chart {}

  /**
   * Lines over one axis.
   *
   * @param title above it
   * @param xTitle name of the axis to the right
   * @param yTitle name of the axis upwards
   * @param series points {@code {x, y}} of each line, by its name; y is NaN where there is none
   * @param logX whether the axis to the right is logarithmic
   * @param logY whether the axis upwards is logarithmic
   */
  record Lines(
      String title,
      String xTitle,
      String yTitle,
      SequencedMap<String, List<double[]>> series,
      boolean logX,
      boolean logY)
      implements Chart {}
}
