package dev.gatun.cli;

import dev.gatun.offload.GpuLayers;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Writes results while they come: a Markdown table, CSV, JSON, JSON lines or aligned columns. */
final class BenchReport {
  private static final int[] WIDTHS = {30, 10, 10, 10, 7, 15, 20};
  private static final List<String> COLUMNS =
      List.of("model", "size", "params", "backend", "threads", "test", "t/s");

  private final Io io;
  private final String format;
  private int count;

  BenchReport(Io io, String format) {
    this.io = io;
    this.format = format;
  }

  void add(BenchResult result) {
    switch (format) {
      case "csv" -> {
        Map<String, Object> fields = fields(result);
        if (count == 0) {
          io.line(String.join(",", fields.keySet()));
        }
        StringBuilder line = new StringBuilder();
        fields.values().forEach(v -> line.append(line.isEmpty() ? "" : ",").append(quoted(v)));
        io.line(line.toString());
      }
      case "json" ->
          io.print((count == 0 ? "[\n  " : ",\n  ") + BenchJson.of(fields(result), result));
      case "jsonl" -> io.line(BenchJson.of(fields(result), result));
      case "md" -> {
        if (count == 0) {
          io.line(markdown(COLUMNS));
          io.line(rule());
        }
        io.line(markdown(cells(result)));
      }
      default -> {
        if (count == 0) {
          io.line(aligned(COLUMNS));
        }
        io.line(aligned(cells(result)));
      }
    }
    count++;
  }

  void end(String llamaVersion) {
    if (format.equals("json")) {
      io.print(count == 0 ? "[]\n" : "\n]\n");
    } else if (format.equals("md")) {
      io.line("\ngatun " + Version.number() + ", llama.cpp " + llamaVersion);
    }
  }

  private static List<String> cells(BenchResult result) {
    long bytes = result.modelBytes();
    long parameters = result.modelParameters();
    return List.of(
        result.modelType(),
        bytes < 1L << 30
            ? decimals(bytes / 1048576.0, "MiB")
            : decimals(bytes / 1073741824.0, "GiB"),
        parameters < 1_000_000_000
            ? decimals(parameters / 1e6, "M")
            : decimals(parameters / 1e9, "B"),
        result.backends(),
        Integer.toString(result.test().options().threads()),
        result.test().name() + extras(result.test()),
        decimals(result.meanRate(), "±") + decimals(result.deviationRate(), ""));
  }

  /** Names what differs from the defaults, so that two lines of a grid can be told apart. */
  private static String extras(BenchGrid.Test test) {
    StringBuilder extras = new StringBuilder();
    var options = test.options();
    var usual = dev.gatun.ContextOptions.defaults();
    if (options.batchTokens() != usual.batchTokens()) {
      extras.append(" b").append(options.batchTokens());
    }
    if (options.microBatchTokens() != usual.microBatchTokens()) {
      extras.append(" ub").append(options.microBatchTokens());
    }
    if (options.keyType() != usual.keyType() || options.valueType() != usual.valueType()) {
      extras
          .append(' ')
          .append(options.keyType().name().toLowerCase(Locale.ROOT))
          .append('/')
          .append(options.valueType().name().toLowerCase(Locale.ROOT));
    }
    if (options.flashAttention() != usual.flashAttention()) {
      extras.append(" fa ").append(options.flashAttention().name().toLowerCase(Locale.ROOT));
    }
    if (!options.ropeScaling().equals(usual.ropeScaling())) {
      extras.append(' ').append(options.ropeScaling().describe());
    }
    if (!(test.gpuLayers() instanceof GpuLayers.All)) {
      extras.append(" ngl ").append(layers(test.gpuLayers()));
    }
    return extras.toString();
  }

  static int layers(GpuLayers layers) {
    return switch (layers) {
      case GpuLayers.All() -> -1;
      case GpuLayers.None() -> 0;
      case GpuLayers.Count(int count) -> count;
    };
  }

  /** The names are llama-bench's, so that whatever reads its output reads this. */
  private static Map<String, Object> fields(BenchResult result) {
    Map<String, Object> fields = new LinkedHashMap<>();
    var options = result.test().options();
    fields.put("build_commit", "gatun-" + Version.number() + "-llama-" + result.llamaVersion());
    fields.put("backends", result.backends());
    fields.put("model_filename", result.modelFile());
    fields.put("model_type", result.modelType());
    fields.put("model_size", result.modelBytes());
    fields.put("model_n_params", result.modelParameters());
    fields.put("n_batch", (long) options.batchTokens());
    fields.put("n_ubatch", (long) options.microBatchTokens());
    fields.put("n_threads", (long) options.threads());
    fields.put("poll", (long) options.polling());
    fields.put("type_k", options.keyType().name().toLowerCase(Locale.ROOT));
    fields.put("type_v", options.valueType().name().toLowerCase(Locale.ROOT));
    fields.put("n_gpu_layers", (long) layers(result.test().gpuLayers()));
    fields.put("no_kv_offload", !options.offloadKv());
    fields.put("flash_attn", options.flashAttention().name().toLowerCase(Locale.ROOT));
    fields.put("rope_scaling", options.ropeScaling().describe());
    fields.put("n_prompt", (long) result.test().promptTokens());
    fields.put("n_gen", (long) result.test().answerTokens());
    fields.put("n_depth", (long) result.test().depth());
    fields.put("test_time", result.at().truncatedTo(ChronoUnit.SECONDS).toString());
    fields.put("avg_ns", Math.round(result.meanNanos()));
    fields.put("stddev_ns", Math.round(result.deviationNanos()));
    fields.put("avg_ts", result.meanRate());
    fields.put("stddev_ts", result.deviationRate());
    return fields;
  }

  private static String quoted(Object value) {
    return '"' + value.toString().replace("\"", "\"\"") + '"';
  }

  private static String decimals(double value, String unit) {
    return String.format(Locale.ROOT, "%.2f", value)
        + (unit.isEmpty() ? "" : " " + unit + (unit.equals("±") ? " " : ""));
  }

  private static String markdown(List<String> cells) {
    StringBuilder line = new StringBuilder("|");
    for (int i = 0; i < cells.size(); i++) {
      line.append(' ').append(padded(cells.get(i), i)).append(" |");
    }
    return line.toString();
  }

  private static String rule() {
    StringBuilder line = new StringBuilder("|");
    for (int i = 0; i < WIDTHS.length; i++) {
      String dashes = "-".repeat(WIDTHS[i] - 1);
      line.append(' ').append(isText(i) ? dashes + "-" : dashes + ":").append(" |");
    }
    return line.toString();
  }

  private static String aligned(List<String> cells) {
    StringBuilder line = new StringBuilder();
    for (int i = 0; i < cells.size(); i++) {
      line.append(i == 0 ? "" : "  ").append(padded(cells.get(i), i));
    }
    return line.toString().stripTrailing();
  }

  private static boolean isText(int column) {
    return column == 0 || column == 3;
  }

  private static String padded(String cell, int column) {
    String blanks = " ".repeat(Math.max(0, WIDTHS[column] - cell.length()));
    return isText(column) ? cell + blanks : blanks + cell;
  }
}
