package dev.gatun.cli;

import dev.gatun.Cancellation;
import dev.gatun.LlamaModel;
import dev.gatun.LlamaRuntime;
import dev.gatun.LoadMode;
import dev.gatun.ModelOptions;
import dev.gatun.offload.Device;
import dev.gatun.offload.GpuLayers;
import java.io.File;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The flags that say which model and where its weights go. */
final class ModelFlags {
  /**
   * A smaller file is loaded before anybody could see a progress bar or press Ctrl-C; it is loaded
   * without either.
   */
  private static final long SLOW_BYTES = 64 << 20;

  private @Nullable Path file;
  private GpuLayers gpuLayers = GpuLayers.all();
  private LoadMode loadMode = LoadMode.AUTO;
  private boolean checkTensors;
  private List<String> devices = List.of();

  void declare(OptionTable table) {
    table
        .group("Model:")
        .value(
            "-m,--model", "FILE", "GGUF file; the built-in test model when left out.", this::file)
        .value(
            "-ngl,--gpu-layers,--n-gpu-layers",
            "N|all",
            "Layers on GPUs (all).",
            v -> gpuLayers = gpuLayers("-ngl", v))
        .value(
            "-dev,--device",
            "NAMES",
            "Devices to use, comma-separated; none for the CPU alone. `gatun devices` lists them.",
            v -> devices = List.of(v.split(",")))
        .value(
            "-lm,--load-mode",
            "MODE",
            "auto, none, mmap, mlock, mmap+mlock or dio (auto).",
            v -> loadMode = loadMode(v))
        .flag("--no-mmap", "Read the file instead of mapping it.", () -> loadMode = LoadMode.READ)
        .flag("--mlock", "Keep the weights in RAM.", () -> loadMode = LoadMode.MMAP_MLOCK)
        .flag("--check-tensors", "Look for invalid weights.", () -> checkTensors = true);
  }

  void file(String name) {
    if (name.isEmpty()) {
      throw CliException.usage("--model needs a file name; leave it out for the built-in model");
    }
    file = Path.of(name);
  }

  /** Whether the built-in model is used because none is named. */
  boolean isBuiltin() {
    return file == null;
  }

  /**
   * Returns the model's file.
   *
   * @throws CliException if there is no such file
   */
  Path path() {
    return file == null ? BuiltinModel.path() : existing(file);
  }

  /** Checks that a model file is there before anything native is started. */
  static Path existing(Path file) {
    File plain = file.toFile();
    if (!plain.exists()) {
      throw CliException.file("no such model file: " + file + "; give a GGUF file with -m/--model");
    }
    if (plain.isDirectory()) {
      throw CliException.file(
          file + " is a folder; name the GGUF file in it (of a split model the first part)");
    }
    if (!plain.canRead()) {
      throw CliException.file("no permission to read " + file + "; check its owner and mode");
    }
    return file;
  }

  /** Loads the model, with a progress bar when a person waits for it. */
  LlamaModel load(Io io, boolean quiet, Cancellation cancellation) {
    Path path = path();
    ModelOptions options =
        ModelOptions.defaults()
            .withGpuLayers(gpuLayers)
            .withLoadMode(loadMode)
            .withCheckTensors(checkTensors);
    boolean slow = path.toFile().length() > SLOW_BYTES;
    if (slow) {
      options = options.withCancellation(cancellation);
    }
    if (!devices.isEmpty()) {
      if (devices.equals(List.of("none"))) {
        options = options.withGpuLayers(GpuLayers.none());
      } else {
        options = options.withDevices(named(LlamaRuntime.load().devices(), devices));
      }
    }
    if (quiet || !slow || !io.errTerminal()) {
      return LlamaModel.load(path, options);
    }
    try (ProgressBar bar = new ProgressBar(io, "loading " + path.getFileName())) {
      return LlamaModel.load(
          path,
          options.withProgress(
              fraction -> {
                bar.update(fraction);
                return true;
              }));
    }
  }

  GpuLayers gpuLayers() {
    return gpuLayers;
  }

  private static List<Device> named(List<Device> all, List<String> names) {
    List<Device> chosen = new ArrayList<>();
    for (String name : names) {
      chosen.add(
          all.stream()
              .filter(device -> device.name().equalsIgnoreCase(name))
              .findFirst()
              .orElseThrow(
                  () ->
                      CliException.usage(
                          "no device is called '"
                              + name
                              + "'; there are "
                              + String.join(", ", all.stream().map(Device::name).toList()))));
    }
    return chosen;
  }

  static GpuLayers gpuLayers(String flag, String value) {
    if (value.equals("all") || value.equals("auto") || value.equals("-1")) {
      return GpuLayers.all();
    }
    return GpuLayers.count(Values.whole(flag, value, 0, 100_000));
  }

  private static LoadMode loadMode(String value) {
    return switch (value) {
      case "auto" -> LoadMode.AUTO;
      case "none" -> LoadMode.READ;
      case "mmap" -> LoadMode.MMAP;
      case "mlock" -> LoadMode.MLOCK;
      case "mmap+mlock" -> LoadMode.MMAP_MLOCK;
      case "dio" -> LoadMode.DIRECT_IO;
      default ->
          throw CliException.usage(
              "--load-mode must be one of auto, none, mmap, mlock, mmap+mlock, dio, not '"
                  + value
                  + "'");
    };
  }
}
