package dev.gatun.cli;

import org.jspecify.annotations.Nullable;

/** Finds the command, reads its arguments, runs it, explains failures. */
final class Cli {
  private Cli() {}

  /**
   * Runs a command line.
   *
   * @param args the arguments
   * @param io where it reads and writes
   * @return the exit code
   */
  static int run(String[] args, Io io) {
    CliLoggers.quiet();
    int code;
    if (args.length == 0) {
      io.err().print(Picocli.usage(null));
      code = ExitCode.USAGE;
    } else if (args.length == 1 && args[0].equals("--version")) {
      io.line(Version.line());
      code = ExitCode.OK;
    } else {
      Command command = Commands.named(args[0]);
      code = command == null ? Picocli.topLevel(args, io) : run(command, args, io);
    }
    io.out().flush();
    io.err().flush();
    return code;
  }

  private static int run(Command command, String[] args, Io io) {
    try {
      OptionTable table = new OptionTable();
      command.declare(table);
      if (!FastParser.parse(table, args, 1)) {
        @Nullable Integer code = Picocli.parse(command, table, args, io);
        if (code != null) {
          return code;
        }
      }
      return command.call(io);
    } catch (Throwable failure) {
      return explain(failure, command.isDebug(), io);
    }
  }

  private static int explain(Throwable failure, boolean debug, Io io) {
    ErrorMapper.Outcome outcome = ErrorMapper.map(failure);
    if (!outcome.line().isEmpty()) {
      io.out().flush();
      io.note(outcome.line());
    }
    if (debug && !(failure instanceof CliException)) {
      failure.printStackTrace(io.err());
    }
    return outcome.exitCode();
  }
}
