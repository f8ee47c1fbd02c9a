package dev.gatun.cli;

/** Where the process starts. */
public final class Main {
  private Main() {}

  /**
   * Runs a command and ends the process with its exit code.
   *
   * @param args the command line
   */
  public static void main(String[] args) {
    int code = Cli.run(args, Io.system());
    // Not exit: every command closes what it opened, and the hook that turns Ctrl-C into a
    // cancellation must not run.
    Runtime.getRuntime().halt(code);
  }
}
