package dev.gatun.cli;

import org.jspecify.annotations.Nullable;

/** Shows help. */
final class HelpCommand extends Command {
  private @Nullable String topic;

  @Override
  String name() {
    return "help";
  }

  @Override
  String summary() {
    return "Shows help about a command or about exit-codes";
  }

  @Override
  String footer() {
    return ExitCode.TABLE;
  }

  @Override
  void declare(OptionTable table) {
    table.positional("TOPIC", "A command, or exit-codes.", 1, v -> topic = v);
  }

  @Override
  int call(Io io) {
    if (topic == null) {
      io.print(Picocli.usage(null));
    } else if (topic.equals("exit-codes")) {
      io.print(ExitCode.TABLE);
    } else if (Commands.NAMES.contains(topic)) {
      io.print(Picocli.usage(topic));
    } else {
      throw CliException.usage(
          "there is no help about '" + topic + "'; `gatun help` lists the commands");
    }
    return ExitCode.OK;
  }
}
