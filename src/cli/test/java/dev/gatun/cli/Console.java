package dev.gatun.cli;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

/** Runs commands inside the test's process and keeps what they write. */
final class Console {
  /** What a command left behind. */
  record Result(int code, String out, String err) {
    List<String> errLines() {
      return err.lines().toList();
    }
  }

  private Console() {}

  static Result run(String... args) {
    return run(new byte[0], args);
  }

  static Result piped(String input, String... args) {
    return run(input.getBytes(StandardCharsets.UTF_8), args);
  }

  static Result run(byte[] input, String... args) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    Io io =
        new Io(
            new ByteArrayInputStream(input),
            new PrintStream(out, false, StandardCharsets.UTF_8),
            new PrintStream(err, false, StandardCharsets.UTF_8),
            false,
            false,
            false);
    int code = Cli.run(args, io);
    return new Result(
        code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  /** A page of prose that the built-in model has never seen. */
  static String prose() {
    try (InputStream in = Console.class.getResourceAsStream("prose.txt")) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The prose with a fact in its middle. */
  static String proseWith(String fact) {
    String prose = prose();
    int middle = prose.indexOf(". ", prose.length() / 2) + 2;
    return prose.substring(0, middle) + fact + " " + prose.substring(middle);
  }

  static Path root() {
    return Path.of(System.getProperty("gatun.root", "../.."));
  }
}
