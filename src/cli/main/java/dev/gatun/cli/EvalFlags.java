package dev.gatun.cli;

import dev.gatun.ContextOptions;
import dev.gatun.LlamaModel;
import dev.gatun.eval.ContextScaling;
import dev.gatun.eval.EvalLog;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The flags that all commands share that measure quality. */
final class EvalFlags {
  private static final int MOST_TOKENS = 1 << 30;

  final ModelFlags model = new ModelFlags();
  private final List<ContextScaling> scalings = new ArrayList<>();
  private final ComputeFlags compute = new ComputeFlags();
  private List<Integer> lengths = List.of();
  private @Nullable String file;
  private @Nullable Path resume;
  private boolean json;
  private ContextScaling scaling = ContextScaling.modelDefault();

  /** Declares them; those of the command itself come next, in the same group. */
  void declare(OptionTable table) {
    declareModel(table);
    table.value(
        "--rope,--methods",
        "SPEC",
        "Position scaling: model, none, linear, yarn, or with a factor yarn:8; several times,"
            + " or a list with semicolons (plain names: commas too).",
        v -> scalings.addAll(scalings("--rope", v)));
    declareText(table, "Measurement:");
    table.value(
        "--resume",
        "FILE",
        "Keep results in this file and do not measure again what is in it.",
        v -> resume = Path.of(v));
  }

  /** Declares which model runs and how. */
  void declareModel(OptionTable table) {
    model.declare(table);
    table.group("Context:");
    compute.declare(table);
  }

  /** Begins a group with the text and the form of the output. */
  void declareText(OptionTable table, String group) {
    table
        .group(group)
        .value(
            "-f,--file",
            "FILE",
            "Text to measure with; a novel's first chapters when left out.",
            v -> file = v)
        .flag("--json", "Write one JSON object a result.", () -> json = true);
  }

  /**
   * Declares the position scaling of a command that runs under one.
   *
   * @param otherwise the scaling when none is given
   * @param why words behind it in the help; may be empty
   */
  void declareScaling(OptionTable table, String otherwise, String why) {
    scaling = ContextScaling.parse(otherwise);
    table.value(
        "--rope",
        "SPEC",
        "Position scaling, one for the whole run (" + otherwise + why + ").",
        v -> {
          List<ContextScaling> given = scalings("--rope", v);
          if (given.size() > 1) {
            throw CliException.usage(
                "--rope takes one scaling here, and '" + v + "' names several; measure them apart");
          }
          scaling = given.getFirst();
        });
  }

  void declareLengths(OptionTable table, String names, String text) {
    table.value(
        names,
        "LIST",
        text,
        v ->
            lengths =
                BenchGrid.ranges(names.substring(names.lastIndexOf(',') + 1), v, 4, MOST_TOKENS));
  }

  /** Reads one scaling or a list of them. */
  static List<ContextScaling> scalings(String flag, String value) {
    List<ContextScaling> list = new ArrayList<>();
    for (String part : value.split(value.contains(":") ? ";" : "[;,]", -1)) {
      try {
        list.add(ContextScaling.parse(part.strip()));
      } catch (IllegalArgumentException e) {
        throw CliException.usage(flag + ": " + e.getMessage());
      }
    }
    return list;
  }

  /** Returns the one scaling of {@link #declareScaling}. */
  ContextScaling scaling() {
    return scaling;
  }

  ContextOptions context() {
    return compute.options();
  }

  /** Returns the scalings that were asked for, else the names given. */
  List<ContextScaling> scalings(String... otherwise) {
    if (!scalings.isEmpty()) {
      return scalings;
    }
    return List.of(otherwise).stream().map(ContextScaling::parse).toList();
  }

  /** Returns the lengths that were asked for, else those given. */
  List<Integer> lengths(List<Integer> otherwise) {
    return lengths.isEmpty() ? otherwise : lengths;
  }

  /** Returns the length that a model was trained for, but at most so many tokens. */
  static int trained(LlamaModel model, int most) {
    return Math.clamp(model.trainedContextTokens(), 4, most);
  }

  /** Returns the text that was asked for, else the one inside the program. */
  String text() {
    if (file == null) {
      return Heldout.text();
    }
    String text = TextInput.file(file);
    if (text.isBlank()) {
      throw CliException.usage(file + " is empty; name a file with text in it");
    }
    return text;
  }

  /** Returns the name of that text. */
  String textName() {
    return file == null ? Heldout.FILE : Path.of(file).getFileName().toString();
  }

  /** Opens the file of results. */
  EvalLog log() {
    return Optional.ofNullable(resume).map(EvalLog::open).orElseGet(EvalLog::inMemory);
  }

  boolean json() {
    return json;
  }
}
