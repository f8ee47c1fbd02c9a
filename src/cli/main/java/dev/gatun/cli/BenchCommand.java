package dev.gatun.cli;

import dev.gatun.Cancellation;
import dev.gatun.LlamaModel;
import dev.gatun.LlamaRuntime;
import dev.gatun.ModelOptions;
import dev.gatun.offload.Device;
import dev.gatun.offload.GpuLayers;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Measures speed as llama-bench does, so that the two can be compared. */
final class BenchCommand extends Command {
  private final BenchGrid grid = new BenchGrid();
  private final List<String> files = new ArrayList<>();
  private final List<String> shapes = new ArrayList<>();
  private int repetitions = 5;
  private boolean warmUp = true;
  private boolean progress;
  private String format = "md";

  @Override
  String name() {
    return "bench";
  }

  @Override
  String summary() {
    return "Measures tokens per second as llama-bench does";
  }

  @Override
  String footer() {
    return """
    Random tokens are read (pp), decoded one by one (tg), or both (pp+tg); a warm-up comes first.
    The figure is the mean of the repetitions and their standard deviation.
    """;
  }

  @Override
  void declare(OptionTable table) {
    table
        .group("Model:")
        .value(
            "-m,--model",
            "FILES",
            "GGUF files, comma-separated; the built-in model when left out.",
            v -> files.addAll(List.of(v.split(","))))
        .value(
            "--shape",
            "NAME",
            "A model of this shape with random weights, made once and kept in the cache.",
            v -> shapes.addAll(List.of(v.split(","))));
    grid.declare(table);
    table
        .group("Measurement:")
        .value(
            "-r,--repetitions",
            "N",
            "Repetitions of each test (5).",
            v -> repetitions = Values.whole("-r", v, 1, 100_000))
        .flag("--no-warmup", "Leave the warm-up out.", () -> warmUp = false)
        .flag("--progress", "Tell on standard error which test runs.", () -> progress = true)
        .value(
            "-o,--output",
            "FORMAT",
            "md, csv, json, jsonl or table (md).",
            v ->
                format =
                    Values.word("-o/--output", v, List.of("md", "csv", "json", "jsonl", "table")));
    declareVerbose(table);
  }

  @Override
  int call(Io io) {
    List<Path> models = new ArrayList<>();
    for (String file : files) {
      models.add(ModelFlags.existing(Path.of(file)));
    }
    for (String shape : shapes) {
      models.add(Shapes.file(shape, io));
    }
    if (models.isEmpty()) {
      models.add(BuiltinModel.path());
    }
    List<BenchGrid.Test> tests = grid.tests(models.size());
    if (tests.isEmpty()) {
      throw CliException.usage("nothing to measure: give -p, -n or -pg a number above 0");
    }
    SparseFlag.warn(io, tests.getFirst().options().sparseAttention());
    Cancellation cancellation = Cancellation.create();
    try (Interrupts _ = Interrupts.cancelling(cancellation)) {
      return measure(io, models, tests, cancellation);
    }
  }

  private int measure(
      Io io, List<Path> models, List<BenchGrid.Test> tests, Cancellation cancellation) {
    LlamaRuntime runtime = LlamaRuntime.load();
    String backends = backends(runtime);
    BenchReport report = new BenchReport(io, format);
    LlamaModel model = null;
    BenchGrid.@Nullable Test last = null;
    try {
      for (int i = 0; i < tests.size(); i++) {
        BenchGrid.Test test = tests.get(i);
        if (model == null
            || last == null
            || last.model() != test.model()
            || !last.gpuLayers().equals(test.gpuLayers())) {
          if (model != null) {
            model.close();
          }
          model = load(models.get(test.model()), test.gpuLayers(), cancellation);
        }
        last = test;
        if (progress) {
          io.note("test " + (i + 1) + " of " + tests.size() + ": " + test.name());
        }
        Instant start = Instant.now();
        List<Long> nanos = new BenchRunner(model, cancellation).run(test, repetitions, warmUp);
        report.add(
            new BenchResult(
                test,
                models.get(test.model()).toString(),
                model.description(),
                model.sizeBytes(),
                model.parameterCount(),
                backends,
                runtime.llamaVersion(),
                start,
                nanos));
      }
    } finally {
      if (model != null) {
        model.close();
      }
    }
    report.end(runtime.llamaVersion());
    return ExitCode.OK;
  }

  private static LlamaModel load(Path file, GpuLayers layers, Cancellation cancellation) {
    return LlamaModel.load(
        file, ModelOptions.defaults().withGpuLayers(layers).withCancellation(cancellation));
  }

  private static String backends(LlamaRuntime runtime) {
    List<String> names = new ArrayList<>();
    for (Device device : runtime.devices()) {
      if (!names.contains(device.backend()) && device.kind() != Device.Kind.OTHER) {
        names.add(device.backend());
      }
    }
    return String.join(",", names);
  }
}
