package dev.gatun;

import java.util.Arrays;
import java.util.Objects;

/**
 * A control vector: one direction for each layer, added to the hidden state.
 *
 * <p>Source: {@code llama_set_adapter_cvec}.
 *
 * @param directions float32, {@code [layers][embeddingLength]}, starting with layer 1
 * @param firstLayer first layer it applies to, at least 1
 * @param lastLayer last layer it applies to
 */
public record ControlVector(float[][] directions, int firstLayer, int lastLayer) {
  /** Checks the shape. */
  public ControlVector {
    Objects.requireNonNull(directions, "directions");
    if (directions.length == 0 || directions[0].length == 0) {
      throw new IllegalArgumentException("a control vector needs at least one direction");
    }
    for (float[] direction : directions) {
      if (direction.length != directions[0].length) {
        throw new IllegalArgumentException("the directions of a control vector differ in length");
      }
    }
    if (firstLayer < 1 || lastLayer < firstLayer) {
      throw new IllegalArgumentException(
          "the layers of a control vector must be 1 <= first <= last, but are %d and %d"
              .formatted(firstLayer, lastLayer));
    }
  }

  /** Returns what tells it from others, for the comparison of saved states. */
  String identity() {
    return "control vector %08x of layers %d to %d"
        .formatted(Arrays.deepHashCode(directions), firstLayer, lastLayer);
  }
}
