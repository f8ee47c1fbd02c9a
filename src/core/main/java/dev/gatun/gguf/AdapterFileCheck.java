package dev.gatun.gguf;

import dev.gatun.error.GgufFormatException;
import java.util.Optional;

/** Refuses LoRA adapters on which llama.cpp would end the process instead of reporting an error. */
final class AdapterFileCheck {
  private static final String ALPHA = "adapter.lora.alpha";
  private static final String A = ".lora_a";
  private static final String B = ".lora_b";

  private final ModelFileCheck adapter;
  private final GgufFile base;

  private AdapterFileCheck(GgufFile adapter, GgufFile base) {
    this.adapter = new ModelFileCheck(adapter);
    this.base = base;
  }

  static void check(GgufFile adapter, GgufFile base) {
    AdapterFileCheck check = new AdapterFileCheck(adapter, base);
    check.keys();
    for (GgufTensor tensor : adapter.tensors()) {
      check.tensor(tensor);
    }
  }

  private void keys() {
    for (String key : new String[] {"general.type", "general.architecture", "adapter.type"}) {
      GgufValue value = adapter.file().metadata().get(key);
      if (value != null && value.type() != GgufType.STRING) {
        throw adapter.fault(key, "must be a text");
      }
    }
    GgufValue alpha = adapter.file().metadata().get(ALPHA);
    if (alpha != null
        && !(alpha instanceof GgufValue.Real real
            && real.type() == GgufType.FLOAT32
            && Double.isFinite(real.value()))) {
      throw adapter.fault(ALPHA, "must be a finite FLOAT32");
    }
  }

  private void tensor(GgufTensor tensor) {
    String name = tensor.name();
    if (!name.endsWith(A) && !name.endsWith(B)) {
      return; // Skipped or reported by native code.
    }
    switch (tensor.type()) {
      case I8, I16, I32, I64, F64, Q8_1, Q8_K ->
          throw fault(tensor, "is of type " + tensor.type(), "must be one to compute with");
      default -> {}
    }
    // Native code compares the first two dimensions only.
    String target = name.replace(A, "").replace(B, "");
    Optional<GgufTensor> changed = base.tensor(target);
    if (changed.isPresent()) {
      for (int i = 2; i < 4; i++) {
        if (tensor.dimension(i) != changed.get().dimension(i)) {
          throw fault(
              tensor,
              "has the shape " + tensor.shape(),
              "must fit that of the model's tensor, " + changed.get().shape());
        }
      }
    }
    if (target.equals("token_embd.weight") && base.tensor("output.weight").isEmpty()) {
      // Native code would apply the pair to the output as well, where its shapes do not fit.
      throw fault(
          tensor,
          "changes the token embedding",
          "must not, for the model's output matrix is the same tensor");
    }
    Optional<GgufTensor> other = adapter.file().tensor(target + (name.endsWith(A) ? B : A));
    if (target.endsWith("token_embd.weight")
        && other.isPresent()
        && other.get().dimension(0) != tensor.dimension(0)) {
      throw fault(
          tensor,
          "has the shape " + tensor.shape(),
          "must have rows as long as those of '" + other.get().name() + "'");
    }
  }

  private GgufFormatException fault(GgufTensor tensor, String what, String must) {
    return adapter.refusal("tensor '" + tensor.name() + "' " + what, "it " + must);
  }
}
