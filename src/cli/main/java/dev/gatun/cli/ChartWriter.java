package dev.gatun.cli;

import java.nio.file.Path;
import java.util.Optional;

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

  /** Returns what this build draws with; nothing when it cannot draw. */
  static Optional<ChartWriter> installed() {
    return Optional.empty();
  }
}
