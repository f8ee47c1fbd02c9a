package dev.gatun.cli;

/** The exit codes of every command. The same table stands in {@code gatun help exit-codes}. */
final class ExitCode {
  /** Done. */
  static final int OK = 0;

  /** Something that should not happen. */
  static final int FAILURE = 1;

  /** A wrong flag, value or input. */
  static final int USAGE = 2;

  /** A model or another file cannot be read. */
  static final int FILE = 3;

  /** The context or the memory is too small. */
  static final int SPACE = 4;

  /** The native libraries cannot be used. */
  static final int NATIVE = 5;

  /** The time that {@code --timeout} allows is over. */
  static final int TIMEOUT = 124;

  /** Interrupted, for example by Ctrl-C. */
  static final int INTERRUPTED = 130;

  /** Whoever read the output went away. */
  static final int PIPE_CLOSED = 141;

  /** The table for people. */
  static final String TABLE =
      """
      Exit codes:
        0    done
        1    unexpected failure, or doctor found a problem
        2    wrong flag, value, prompt, grammar or question
        3    model or file missing, unreadable or broken
        4    context or memory too small
        5    native libraries missing or not usable
        124  the time of --timeout is over
        130  interrupted (Ctrl-C)
        141  the reader of the output went away
      """;

  private ExitCode() {}
}
