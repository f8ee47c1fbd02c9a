package dev.gatun.offload;

/** How many of a model's layers go to GPUs. */
public sealed interface GpuLayers {
  /** Every layer, when there is a GPU. */
  record All() implements GpuLayers {}

  /** No layer. */
  record None() implements GpuLayers {}

  /**
   * The last layers.
   *
   * @param layers number of layers, at least 1; more than the model has means all
   */
  record Count(int layers) implements GpuLayers {
    /** Checks the number. */
    public Count {
      if (layers < 1) {
        throw new IllegalArgumentException(
            "the number of GPU layers must be at least 1, but is %d; use GpuLayers.none()"
                .formatted(layers));
      }
    }
  }

  /** Returns every layer. */
  static GpuLayers all() {
    return new All();
  }

  /** Returns no layer. */
  static GpuLayers none() {
    return new None();
  }

  /**
   * Returns a number of layers; 0 is {@link #none()}.
   *
   * @param layers number of layers, not negative
   */
  static GpuLayers count(int layers) {
    return layers == 0 ? none() : new Count(layers);
  }
}
