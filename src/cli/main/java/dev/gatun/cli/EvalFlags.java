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
  private ContextOptions context = ContextOptions.defaults();
  private boolean batchThreadsGiven;
  private List<Integer> lengths = List.of();
  private @Nullable String file;
  private @Nullable Path resume;
  private boolean json;

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
    table
        .group("Context:")
        .value(
            "-ub,--ubatch-size",
            "N",
            "Tokens computed at once (512).",
            v -> context = context.withMicroBatchTokens(Values.whole("-ub", v, 1, 1 << 20)))
        .value("-t,--threads", "N", "Threads.", this::threads)
        .value(
            "-tb,--threads-batch",
            "N",
            "Threads while reading (as -t).",
            v -> {
              context = context.withBatchThreads(Values.whole("-tb", v, 1, 512));
              batchThreadsGiven = true;
            })
        .value(
            "-ctk,--kv-k",
            "TYPE",
            "Type of the keys in the KV cache: "
                + String.join(", ", ContextFlags.KV_TYPES)
                + " (f16).",
            v -> context = context.withKeyType(ContextFlags.kvType("--kv-k", v)))
        .value(
            "-ctv,--kv-v",
            "TYPE",
            "Type of the values in the KV cache (f16).",
            v -> context = context.withValueType(ContextFlags.kvType("--kv-v", v)))
        .value(
            "-fa,--flash-attn",
            "on|off|auto",
            "Flash attention (auto).",
            v -> context = context.withFlashAttention(ContextFlags.flashAttention("-fa", v)))
        .value(
            SparseFlag.NAME,
            SparseFlag.VALUE,
            SparseFlag.HELP,
            v -> context = context.withSparseAttention(SparseFlag.parse(v)));
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

  void declareLengths(OptionTable table, String names, String text) {
    table.value(
        names,
        "LIST",
        text,
        v ->
            lengths =
                BenchGrid.ranges(names.substring(names.lastIndexOf(',') + 1), v, 4, MOST_TOKENS));
  }

  private void threads(String value) {
    int threads = Values.whole("-t", value, 1, 512);
    context = context.withThreads(threads);
    if (!batchThreadsGiven) {
      context = context.withBatchThreads(threads);
    }
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

  ContextOptions context() {
    return context;
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
