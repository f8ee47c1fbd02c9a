package dev.gatun.cli;

/** One command. Created for one call. */
abstract class Command {
  private boolean debug = System.getenv("GATUN_DEBUG") != null;

  /** The name on the command line. */
  abstract String name();

  /** One sentence without a full stop. */
  abstract String summary();

  /** More help below the flags; empty lines and all. */
  String footer() {
    return "";
  }

  /** Whether help and completion keep quiet about it. */
  boolean hidden() {
    return false;
  }

  /** Declares {@code -v}. */
  final void declareVerbose(OptionTable table) {
    table.flag(SharedFlag.VERBOSE, this::verbose);
  }

  /** Does what {@code -v} asks for. */
  void verbose() {
    CliLoggers.show();
    debug();
  }

  /** Declares flags and arguments. Called once. */
  abstract void declare(OptionTable table);

  /**
   * Does the work.
   *
   * @return the exit code
   */
  abstract int call(Io io) throws Exception;

  final void debug() {
    debug = true;
  }

  /** Whether an unexpected failure shows its stack trace. */
  final boolean isDebug() {
    return debug;
  }
}
