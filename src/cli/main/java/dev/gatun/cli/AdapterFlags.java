package dev.gatun.cli;

import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.LoraAdapter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The flags for what is put on top of a model: LoRA adapters and a control vector. */
final class AdapterFlags {
  private record Scaled(Path file, float scale) {}

  private final List<Scaled> loras = new ArrayList<>();
  private final List<Scaled> vectors = new ArrayList<>();
  private int firstLayer = 1;
  private int lastLayer = Integer.MAX_VALUE;

  void declare(OptionTable table) {
    table
        .group("Adapters:")
        .value("--lora", "FILES", "LoRA adapters, comma-separated.", v -> plain("--lora", v, loras))
        .value(
            "--lora-scaled",
            "FILE:SCALE",
            "LoRA adapters with scales, comma-separated.",
            v -> scaled("--lora-scaled", v, loras))
        .value(
            "--control-vector",
            "FILES",
            "Control vectors, comma-separated; several are added.",
            v -> plain("--control-vector", v, vectors))
        .value(
            "--control-vector-scaled",
            "FILE:SCALE",
            "Control vectors with scales, comma-separated.",
            v -> scaled("--control-vector-scaled", v, vectors))
        .value(
            "--control-vector-layer-range",
            "FIRST-LAST",
            "Layers that the control vector applies to (all).",
            this::layers);
  }

  private static void plain(String flag, String value, List<Scaled> into) {
    for (String name : value.split(",")) {
      into.add(new Scaled(existing(flag, name), 1));
    }
  }

  private static void scaled(String flag, String value, List<Scaled> into) {
    for (String part : value.split(",")) {
      int colon = part.lastIndexOf(':');
      if (colon < 1) {
        throw CliException.usage(
            flag + " needs FILE:SCALE such as style.gguf:0.5, not '" + part + "'");
      }
      into.add(
          new Scaled(
              existing(flag, part.substring(0, colon)),
              Values.number(flag, part.substring(colon + 1), -1e6, 1e6)));
    }
  }

  private static Path existing(String flag, String name) {
    Path file = Path.of(name);
    if (!file.toFile().isFile()) {
      throw CliException.file("no such file: " + name + "; check the path after " + flag);
    }
    return file;
  }

  private void layers(String value) {
    String flag = "--control-vector-layer-range";
    int dash = value.indexOf('-');
    if (dash < 1) {
      throw CliException.usage(flag + " needs FIRST-LAST such as 10-20, not '" + value + "'");
    }
    firstLayer = Values.whole(flag, value.substring(0, dash), 1, Integer.MAX_VALUE);
    lastLayer = Values.whole(flag, value.substring(dash + 1), firstLayer, Integer.MAX_VALUE);
  }

  /** Loads and applies what was named. The adapters live as long as the context. */
  void apply(LlamaModel model, LlamaContext context) {
    if (!loras.isEmpty()) {
      Map<LoraAdapter, Float> adapters = new LinkedHashMap<>();
      for (Scaled scaled : loras) {
        adapters.put(model.loadLora(scaled.file()), scaled.scale());
      }
      context.setLoras(adapters);
      adapters.keySet().forEach(LoraAdapter::close);
    }
    if (!vectors.isEmpty()) {
      ControlVectors sum = new ControlVectors(model.layerCount(), model.embeddingLength());
      for (Scaled scaled : vectors) {
        sum.add(scaled.file(), scaled.scale());
      }
      context.setControlVector(
          sum.vector(
              Math.min(firstLayer, model.layerCount()), Math.min(lastLayer, model.layerCount())));
    }
  }
}
