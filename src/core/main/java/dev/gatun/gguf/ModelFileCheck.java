package dev.gatun.gguf;

import dev.gatun.error.GgufFormatException;
import java.util.Map;
import java.util.OptionalLong;

/**
 * Refuses models on which llama.cpp would end the process instead of reporting an error.
 *
 * <p>A sound container can still hold values that no model has: no layers, more rotated dimensions
 * than a head has, the same token twice. llama.cpp meets many of them with an assertion. This check
 * stands before it. What llama.cpp itself reports (a missing key, a wrong type, a wrong shape) is
 * left to it.
 */
final class ModelFileCheck {
  private final GgufFile file;
  private final String architecture;

  ModelFileCheck(GgufFile file) {
    this.file = file;
    this.architecture = file.model().architecture();
  }

  /**
   * Checks metadata and tensor table.
   *
   * @throws GgufFormatException naming the key or the tensor, its value and what to do
   */
  static void check(GgufFile file) {
    ModelFileCheck check = new ModelFileCheck(file);
    check.finiteNumbers();
    VocabularyCheck.check(check);
    if (!file.model().isVocabularyOnly()) {
      HyperparameterCheck.check(check);
      TensorTypeCheck.check(check);
      TensorPresenceCheck.check(check);
    }
  }

  GgufFile file() {
    return file;
  }

  String architecture() {
    return architecture;
  }

  /** Returns the architecture's own key. */
  String key(String suffix) {
    return architecture + "." + suffix;
  }

  /** Returns the number under a key as native code reads it: exactly a UINT32, or nothing. */
  OptionalLong uint32(String key) {
    return file.metadata().get(key) instanceof GgufValue.Whole whole
            && whole.type() == GgufType.UINT32
        ? OptionalLong.of(whole.value())
        : OptionalLong.empty();
  }

  /** Returns the truth value under a key, or what holds without it. */
  boolean bool(String key, boolean otherwise) {
    return file.metadata().get(key) instanceof GgufValue.Bool bool ? bool.value() : otherwise;
  }

  /** Returns the text under a key, or an empty one. */
  String text(String key) {
    return file.metadata().get(key) instanceof GgufValue.Text text ? text.value() : "";
  }

  boolean has(String key) {
    return file.metadata().containsKey(key);
  }

  /** Requires a number, when the key is there as a UINT32, to lie between two bounds. */
  void range(String key, long least, long most) {
    OptionalLong value = uint32(key);
    if (value.isPresent() && (value.getAsLong() < least || value.getAsLong() > most)) {
      throw fault(key, "must be between " + least + " and " + most);
    }
  }

  /** Returns the refusal of a key's value. */
  GgufFormatException fault(String key, String must) {
    GgufValue value = file.metadata().get(key);
    return refusal("key '" + key + "' " + (value == null ? "is missing" : "is " + value), must);
  }

  /** Returns the refusal of anything else. */
  GgufFormatException refusal(String what, String must) {
    return new GgufFormatException(
        file.path()
            + ": "
            + what
            + " but "
            + must
            + "; the file is damaged or was converted wrongly: take it from another source");
  }

  private void finiteNumbers() {
    for (Map.Entry<String, GgufValue> entry : file.metadata().entrySet()) {
      if (entry.getValue() instanceof GgufValue.Real real
          && !Double.isFinite(real.value())
          && entry.getKey().startsWith(architecture + ".")) {
        throw fault(entry.getKey(), "must be a finite number");
      }
    }
  }
}
