package dev.gatun.cli;

import dev.gatun.gguf.SyntheticModel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Models of a given shape with random weights, for measuring; made once and kept in the user's
 * cache.
 */
final class Shapes {
  private static final long SEED = 1;

  private Shapes() {}

  /** Returns the names for help and messages. */
  static String names() {
    return String.join(", ", SyntheticModel.Shape.names());
  }

  /**
   * Returns the file of a shape, made when it is not there yet.
   *
   * @throws CliException if there is no such shape
   */
  static Path file(String name, Io io) {
    if (!SyntheticModel.Shape.names().contains(name)) {
      throw CliException.usage("there is no shape '" + name + "'; there are " + names());
    }
    Path folder = UserFolders.cache().resolve("shapes");
    Path file = folder.resolve(name + "-" + SEED + ".gguf");
    if (!Files.exists(file)) {
      io.note("making " + file + " with random weights, once");
      try {
        Files.createDirectories(folder);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      SyntheticModel.write(SyntheticModel.Shape.named(name), BuiltinModel.path(), file, SEED);
    }
    return file;
  }
}
