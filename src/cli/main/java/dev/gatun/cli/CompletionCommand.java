package dev.gatun.cli;

import picocli.AutoComplete;

/** Prints a completion script for bash and zsh. */
final class CompletionCommand extends Command {
  @Override
  String name() {
    return "generate-completion";
  }

  @Override
  String summary() {
    return "Prints a completion script: source <(gatun generate-completion)";
  }

  @Override
  boolean hidden() {
    return true;
  }

  @Override
  void declare(OptionTable table) {
    // no flags
  }

  @Override
  int call(Io io) {
    io.print(AutoComplete.bash("gatun", Picocli.everything()) + "\n");
    return ExitCode.OK;
  }
}
