package dev.gatun.cli;

import dev.gatun.cli.OptionTable.Option;
import dev.gatun.cli.OptionTable.Positional;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.ArgGroupSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/**
 * The slow and friendly reader of an {@link OptionTable}: help, suggestions, clusters of short
 * names, completion.
 */
final class Picocli {
  private static final String DESCRIPTION =
      "Runs GGUF language models on texts longer than they were trained for.";
  private static final String FOOTER =
      """

      First steps:
        echo "The pass key of Mira is 48213." | gatun run --ask "What is the pass key of Mira?"
        gatun run -m model.gguf --file book.txt --ask "Who lives in Bath?"
        gatun help run, gatun help exit-codes
      """;

  private Picocli() {}

  /**
   * Reads a command's arguments.
   *
   * @return null when the command can be called, else the exit code after help or an error was
   *     shown
   */
  static @Nullable Integer parse(Command command, OptionTable table, String[] args, Io io) {
    List<Runnable> events = new ArrayList<>();
    CommandLine line = new CommandLine(spec(command, table, "gatun " + command.name(), events));
    configure(line);
    String[] rest = new String[args.length - 1];
    System.arraycopy(args, 1, rest, 0, rest.length);
    try {
      CommandLine.ParseResult result = line.parseArgs(rest);
      if (result.isUsageHelpRequested()) {
        io.out().print(line.getUsageMessage());
        return ExitCode.OK;
      }
      events.forEach(Runnable::run);
      return null;
    } catch (ParameterException e) {
      io.note(explain(e) + "; `gatun help " + command.name() + "` lists what there is");
      return ExitCode.USAGE;
    }
  }

  /** Handles a line that starts with no command's name. */
  static int topLevel(String[] args, Io io) {
    CommandLine line = everything();
    try {
      CommandLine.ParseResult result = line.parseArgs(args);
      if (result.isVersionHelpRequested()) {
        line.printVersionHelp(io.out());
        return ExitCode.OK;
      }
      io.out().print(line.getUsageMessage());
      return ExitCode.OK;
    } catch (ParameterException e) {
      io.note(explain(e) + "; `gatun help` lists the commands");
      return ExitCode.USAGE;
    }
  }

  /** Returns the help text of a command, or of the whole program. */
  static String usage(@Nullable String name) {
    CommandLine line = everything();
    if (name != null) {
      line = line.getSubcommands().get(name);
    }
    return line.getUsageMessage();
  }

  /** Returns the program with all its commands. */
  static CommandLine everything() {
    CommandSpec root = CommandSpec.create().name("gatun").addOption(help());
    root.addOption(
        OptionSpec.builder("-V", "--version")
            .versionHelp(true)
            .type(boolean.class)
            .description("Print the version and end.")
            .build());
    root.versionProvider(() -> new String[] {Version.line()});
    root.usageMessage().description(DESCRIPTION).footer(FOOTER.split("\n", -1));
    for (String name : Commands.NAMES) {
      Command command = Objects.requireNonNull(Commands.named(name));
      OptionTable table = new OptionTable();
      command.declare(table);
      root.addSubcommand(name, spec(command, table, name, new ArrayList<>()));
    }
    CommandLine line = new CommandLine(root);
    configure(line);
    return line;
  }

  private static void configure(CommandLine line) {
    line.setExpandAtFiles(false);
    line.setOverwrittenOptionsAllowed(true);
    line.setUsageHelpWidth(100);
    line.setUsageHelpLongOptionsMaxWidth(38);
    line.setInterpolateVariables(false);
  }

  private static CommandSpec spec(
      Command command, OptionTable table, String name, List<Runnable> events) {
    CommandSpec spec = CommandSpec.create().name(name);
    spec.addOption(help());
    spec.usageMessage()
        .description(command.summary() + ".")
        .hidden(command.hidden())
        .sortOptions(false)
        .abbreviateSynopsis(true)
        .footer(command.footer().isEmpty() ? new String[0] : footer(command.footer()));
    Map<String, ArgGroupSpec.Builder> groups = new LinkedHashMap<>();
    for (Option option : table.options()) {
      groups
          .computeIfAbsent(
              option.group(), heading -> ArgGroupSpec.builder().heading("%n" + heading + "%n"))
          .addArg(option(option, events));
    }
    int order = 0;
    for (ArgGroupSpec.Builder group : groups.values()) {
      spec.addArgGroup(group.exclusive(false).validate(false).order(order++).build());
    }
    @Nullable Positional positional = table.positional();
    if (positional != null) {
      spec.addPositional(positional(positional, events));
    }
    return spec;
  }

  private static OptionSpec help() {
    return OptionSpec.builder("-h", "--help")
        .usageHelp(true)
        .type(boolean.class)
        .description("Show this help and end.")
        .build();
  }

  private static String[] footer(String text) {
    return ("\n" + text.stripTrailing()).replace("%", "%%").split("\n", -1);
  }

  private static OptionSpec option(Option option, List<Runnable> events) {
    OptionSpec.Builder builder =
        OptionSpec.builder(option.names().toArray(String[]::new))
            .description(option.text().replace("%", "%%"))
            .setter(
                new CommandLine.Model.ISetter() {
                  @Override
                  public <T> @Nullable T set(@Nullable T value) {
                    if (value instanceof String text) {
                      events.add(() -> option.setter().set(text));
                    } else if (Boolean.TRUE.equals(value)) {
                      events.add(() -> option.setter().set("true"));
                    }
                    return null;
                  }
                });
    if (option.takesValue()) {
      return builder.paramLabel(option.label()).arity("1").type(String.class).build();
    }
    return builder.arity("0").type(boolean.class).build();
  }

  private static PositionalParamSpec positional(Positional positional, List<Runnable> events) {
    return PositionalParamSpec.builder()
        .paramLabel(positional.label())
        .description(positional.text())
        // Picocli writes the label once for each of a number, but once alone for *.
        .arity(positional.most() == 1 ? "0..1" : "0..*")
        .index(positional.most() == 1 ? "0" : "0..*")
        .type(String[].class)
        .setter(
            new CommandLine.Model.ISetter() {
              @Override
              public <T> @Nullable T set(@Nullable T value) {
                if (value instanceof String[] texts) {
                  events.add(
                      () -> {
                        for (String text : texts) {
                          positional.setter().set(text);
                        }
                      });
                }
                return null;
              }
            })
        .build();
  }

  private static String explain(ParameterException e) {
    StringBuilder text = new StringBuilder(e.getMessage().strip().replace('\n', ' '));
    if (e instanceof UnmatchedArgumentException unmatched) {
      List<String> suggestions = unmatched.getSuggestions();
      if (!suggestions.isEmpty()) {
        text.append("; did you mean ").append(String.join(", ", suggestions)).append('?');
      }
    }
    return text.toString();
  }
}
