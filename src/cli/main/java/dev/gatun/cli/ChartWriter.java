package dev.gatun.cli;

import java.nio.file.Path;

/** Draws charts into files. */
@FunctionalInterface
interface ChartWriter {
  /**
   * Draws a chart.
   *
   * @param chart what it shows
   * @param file PNG or SVG, by the end of its name
   */
  void write(Chart chart, Path file);

  /** Draws with {@link Charts}, which is loaded only then. */
  static void draw(Chart chart, Path file) {
    if (chart instanceof Chart.Heatmap map) {
      Charts.heatmap(
          map.title(),
          map.xTitle(),
          map.yTitle(),
          map.xLabels(),
          map.yLabels(),
          map.values(),
          file);
    } else if (chart instanceof Chart.Lines lines) {
      Charts.lines(
          lines.title(),
          lines.xTitle(),
          lines.yTitle(),
          lines.series(),
          lines.logX(),
          lines.logY(),
          file);
    }
  }
}
