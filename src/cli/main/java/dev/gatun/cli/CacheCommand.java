package dev.gatun.cli;

import dev.gatun.error.StateFormatException;
import dev.gatun.kv.StateFacts;
import dev.gatun.kv.StateFile;
import dev.gatun.kv.StateStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Looks after state files. Pure Java: works where the native libraries do not. */
final class CacheCommand extends Command {
  private static final List<String> ACTIONS = List.of("list", "inspect", "verify", "prune");
  private static final int MOST_FILES = 1024;

  private final List<Path> files = new ArrayList<>();
  private @Nullable String action;
  private @Nullable Path folder;
  private long maxBytes = Long.MAX_VALUE;
  private Duration maxAge = Duration.ofSeconds(-1);
  private boolean dryRun;
  private boolean json;

  @Override
  String name() {
    return "cache";
  }

  @Override
  String summary() {
    return "Lists, inspects, verifies and prunes saved states of sessions";
  }

  @Override
  String footer() {
    return """
    Actions:
      list             the state files of the folder
      inspect FILE...  what a file says about itself
      verify [FILE...] compares every checksum; all files of the folder when none is named
      prune            removes what --older-than and --max-size leave no room for

    Examples:
      gatun cache inspect book.gkv
      gatun cache prune --max-size 2G --older-than 30d --dry-run
    """;
  }

  @Override
  void declare(OptionTable table) {
    table
        .positional(
            "ACTION|FILE",
            "list (also when left out), inspect, verify or prune; then files.",
            MOST_FILES,
            this::argument)
        .value(
            "-d,--dir",
            "FOLDER",
            "The folder of the state files (states in the user's cache folder).",
            v -> folder = Path.of(v))
        .value(
            "--max-size",
            "SIZE",
            "prune: most bytes of all files, such as 500M or 2G.",
            v -> maxBytes = Values.byteCount("--max-size", v))
        .value(
            "--older-than",
            "AGE",
            "prune: remove what was not used for so long, such as 12h or 30d.",
            v -> maxAge = Values.age("--older-than", v))
        .flag("--dry-run", "prune: only tell what would be removed.", () -> dryRun = true)
        .flag("--json", "Write one JSON object a line for each file.", () -> json = true);
  }

  private void argument(String text) {
    if (action == null) {
      action = Values.word("the action", text, ACTIONS);
    } else {
      files.add(Path.of(text));
    }
  }

  @Override
  int call(Io io) {
    StateStore store =
        StateStore.of(folder == null ? UserFolders.cache().resolve("states") : folder);
    String asked = action == null ? "list" : action;
    if (folder != null && !Files.isDirectory(folder)) {
      throw CliException.file(
          "--dir "
              + folder
              + (Files.exists(folder) ? " is no folder" : " does not exist")
              + "; name the folder that holds the state files");
    }
    boolean takesFiles = asked.equals("inspect") || asked.equals("verify");
    if (!takesFiles && !files.isEmpty()) {
      throw CliException.usage(
          "`gatun cache " + asked + "` takes no files; name a folder with --dir");
    }
    if (!asked.equals("prune") && (dryRun || maxBytes != Long.MAX_VALUE || !maxAge.isNegative())) {
      throw CliException.usage(
          "--max-size, --older-than and --dry-run are for `gatun cache prune`");
    }
    return switch (asked) {
      case "inspect" -> inspect(io);
      case "verify" -> verify(io, store);
      case "prune" -> prune(io, store);
      default -> list(io, store);
    };
  }

  private int list(Io io, StateStore store) {
    List<StateStore.Entry> entries = store.list();
    if (json) {
      for (StateStore.Entry entry : entries) {
        io.line(CacheJson.line(entry));
      }
      return ExitCode.OK;
    }
    if (entries.isEmpty()) {
      io.note("there are no state files in " + store.folder());
      return ExitCode.OK;
    }
    Table table = new Table("file", "used", "size", "tokens", "model", "label");
    for (StateStore.Entry entry : entries) {
      Optional<StateFacts> facts = entry.facts();
      table.row(
          entry.path().getFileName().toString(),
          CacheJson.date(entry.used()),
          Values.bytes(entry.bytes()),
          facts.map(f -> Values.grouped(f.tokens())).orElse("-"),
          facts.map(StateFacts::modelName).orElse("damaged"),
          facts.map(StateFacts::label).orElse(entry.problem().orElse("")));
    }
    io.print(table.toString());
    return ExitCode.OK;
  }

  private int inspect(Io io) {
    if (files.isEmpty()) {
      throw CliException.usage(
          "`gatun cache inspect` needs a file; `gatun cache list` names those that there are");
    }
    for (Path file : files) {
      StateFacts facts = StateFile.inspect(file);
      if (json) {
        io.line(CacheJson.line(facts));
      } else {
        io.print(
            (files.size() > 1 && file != files.getFirst() ? "\n" : "") + CacheJson.text(facts));
      }
    }
    return ExitCode.OK;
  }

  private int verify(Io io, StateStore store) {
    List<Path> all =
        files.isEmpty() ? store.list().stream().map(StateStore.Entry::path).toList() : files;
    int bad = 0;
    for (Path file : all) {
      Optional<String> problem = Optional.empty();
      try {
        StateFile.verify(file);
      } catch (StateFormatException e) {
        problem = Optional.of(String.valueOf(e.getMessage()));
        bad++;
      }
      io.line(
          json
              ? CacheJson.verified(file, problem)
              : problem
                  .map(text -> (Files.exists(file) ? "damaged  " : "missing  ") + text)
                  .orElse("sound    " + file));
    }
    if (all.isEmpty() && !json) {
      io.note("there are no state files in " + store.folder());
    }
    return bad == 0 ? ExitCode.OK : ExitCode.FILE;
  }

  private int prune(Io io, StateStore store) {
    if (maxBytes == Long.MAX_VALUE && maxAge.isNegative()) {
      throw CliException.usage(
          "`gatun cache prune` needs a bound: --max-size 2G, --older-than 30d or both");
    }
    List<StateStore.Entry> going = store.prunable(maxBytes, maxAge);
    // Removed before it is said to be.
    long freed =
        dryRun ? going.stream().mapToLong(StateStore.Entry::bytes).sum() : store.remove(going);
    if (json) {
      going.forEach(entry -> io.line(CacheJson.line(entry)));
    } else {
      going.forEach(
          entry ->
              io.line(
                  (dryRun ? "would remove " : "removed ")
                      + entry.path()
                      + " ("
                      + Values.bytes(entry.bytes())
                      + ")"));
    }
    if (!json) {
      io.note((dryRun ? "would free " : "freed ") + Values.bytes(freed) + " of " + store.folder());
    }
    return ExitCode.OK;
  }
}
