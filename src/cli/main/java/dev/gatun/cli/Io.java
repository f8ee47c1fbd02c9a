package dev.gatun.cli;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * The streams of a command, and whether a person sits at each of them. Text goes out as UTF-8
 * whatever the locale says.
 *
 * @param in standard input
 * @param out what the command was asked for
 * @param err everything else: notes, progress, errors
 * @param inTerminal whether a person types the input
 * @param outTerminal whether a person reads the output
 * @param errTerminal whether a person reads the notes
 */
record Io(
    InputStream in,
    PrintStream out,
    PrintStream err,
    boolean inTerminal,
    boolean outTerminal,
    boolean errTerminal) {

  /**
   * Set by the launcher, which asks more cheaply: the letters i, o and e of the streams that are
   * terminals.
   */
  static final String TERMINALS_PROPERTY = "gatun.terminals";

  /** Returns the process's own streams. */
  static Io system() {
    String terminals = terminals(System.getProperty(TERMINALS_PROPERTY));
    return new Io(
        new FileInputStream(FileDescriptor.in),
        new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8),
        new PrintStream(new FileOutputStream(FileDescriptor.err), false, StandardCharsets.UTF_8),
        terminals.indexOf('i') >= 0,
        terminals.indexOf('o') >= 0,
        terminals.indexOf('e') >= 0);
  }

  private static String terminals(@Nullable String given) {
    if (given != null) {
      return given;
    }
    return System.console() != null && System.console().isTerminal() ? "ioe" : "";
  }

  /** Writes a note for the user on its own line. */
  void note(String line) {
    err.print("gatun: " + line + "\n");
    err.flush();
  }

  /**
   * Writes a line of output.
   *
   * @throws CliException if the reader went away
   */
  void line(String line) {
    print(line + "\n");
  }

  /**
   * Writes and flushes a piece of output.
   *
   * @throws CliException if the reader went away
   */
  void print(String text) {
    out.print(text);
    if (out.checkError()) {
      throw CliException.pipeClosed();
    }
  }
}
