package dev.gatun.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/** The prose inside the program, which the built-in model has never seen (public domain). */
final class Heldout {
  /** Its name. */
  static final String FILE = "heldout.txt";

  private Heldout() {}

  /**
   * Returns the text.
   *
   * @throws CliException if this build carries none
   */
  static String text() {
    try (InputStream in = Heldout.class.getResourceAsStream(FILE)) {
      if (in == null) {
        throw CliException.file("this build carries no text; name one with -f/--file FILE");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
