package dev.gatun.cli;

/** A failure that is already put into words: one line with the next step, and an exit code. */
final class CliException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int exitCode;

  private CliException(int exitCode, String message) {
    super(message);
    this.exitCode = exitCode;
  }

  /** A wrong flag, value or input. */
  static CliException usage(String message) {
    return new CliException(ExitCode.USAGE, message);
  }

  /** A file that cannot be used. */
  static CliException file(String message) {
    return new CliException(ExitCode.FILE, message);
  }

  /** Too little context or memory. */
  static CliException space(String message) {
    return new CliException(ExitCode.SPACE, message);
  }

  /** Libraries of the machine that are missing or not usable. */
  static CliException libraries(String message) {
    return new CliException(ExitCode.NATIVE, message);
  }

  /** The time of {@code --timeout} is over. */
  static CliException timeout(String message) {
    return new CliException(ExitCode.TIMEOUT, message);
  }

  /** The reader of the output went away. */
  static CliException pipeClosed() {
    return new CliException(ExitCode.PIPE_CLOSED, "");
  }

  int exitCode() {
    return exitCode;
  }
}
