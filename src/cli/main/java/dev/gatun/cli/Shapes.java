package dev.gatun.cli;

import java.nio.file.Path;

/** Models of a given shape with random weights, for measuring. */
final class Shapes {
  private Shapes() {}

  static Path file(String name, Io io) {
    throw CliException.usage("no shape is called '" + name + "'");
  }
}
