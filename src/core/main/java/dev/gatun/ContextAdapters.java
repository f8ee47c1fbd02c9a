package dev.gatun;

import dev.gatun.internal.NativeAdapters;
import dev.gatun.internal.NativeContext;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The LoRA adapters and the control vector of a context. Every method is called in its guard. */
final class ContextAdapters {
  private final LlamaModel model;
  private final NativeContext context;
  private Map<LoraAdapter, Float> loras = Map.of();
  private Optional<ControlVector> controlVector = Optional.empty();

  ContextAdapters(LlamaModel model, NativeContext context) {
    this.model = model;
    this.context = context;
  }

  /** Refuses adapters of another model. */
  void requireOwn(Map<LoraAdapter, Float> adapters) {
    for (LoraAdapter adapter : adapters.keySet()) {
      if (adapter.model() != context.model()) {
        throw new IllegalArgumentException(
            "the LoRA adapter %s was loaded for another model".formatted(adapter.file()));
      }
    }
  }

  /** Applies adapters in place of those there are; when it fails those stay. */
  void setLoras(Map<LoraAdapter, Float> adapters) {
    Map<LoraAdapter, Float> next = new LinkedHashMap<>(adapters);
    next.keySet().forEach(LoraAdapter::use);
    try {
      NativeAdapters.setLoras(
          context,
          next.keySet().stream().map(LoraAdapter::handle).toList(),
          next.values().stream().toList());
    } catch (RuntimeException | Error e) {
      next.keySet().forEach(LoraAdapter::unuse);
      throw e;
    }
    letGo();
    loras = next;
  }

  /** Refuses a vector of another width. */
  void requireFitting(ControlVector vector) {
    if (vector.directions()[0].length != model.embeddingLength()) {
      throw new IllegalArgumentException(
          "the control vector is %d wide and the model %d"
              .formatted(vector.directions()[0].length, model.embeddingLength()));
    }
  }

  void setControlVector(ControlVector vector) {
    NativeAdapters.setControlVector(
        context, vector.directions(), vector.firstLayer(), vector.lastLayer());
    controlVector = Optional.of(vector);
  }

  void clearControlVector() {
    NativeAdapters.clearControlVector(context);
    controlVector = Optional.empty();
  }

  /** Gives the adapters back, also of a context that is closed. */
  void letGo() {
    loras.keySet().forEach(LoraAdapter::unuse);
    loras = Map.of();
  }

  /** Returns which are applied, for the comparison of saved states; empty when none is. */
  Optional<String> text() {
    List<String> texts = new ArrayList<>();
    loras.forEach((lora, scale) -> texts.add(lora.identity() + " * " + scale));
    texts.sort(Comparator.naturalOrder());
    controlVector.ifPresent(vector -> texts.add(vector.identity()));
    return texts.isEmpty() ? Optional.empty() : Optional.of(String.join(", ", texts));
  }
}
