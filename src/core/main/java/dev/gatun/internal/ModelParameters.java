package dev.gatun.internal;

import java.util.List;

/**
 * The fields of {@code llama_model_params} that Gatun sets; the others keep their defaults.
 *
 * @param gpuLayers {@code n_gpu_layers}; negative means all
 * @param loadMode {@code enum llama_load_mode}
 * @param vocabularyOnly {@code vocab_only}
 * @param checkTensors {@code check_tensors}
 * @param devices names of the devices to use; empty means all
 * @param progress told the fraction, answers whether to go on
 * @param listens whether {@code progress} wants to be called at all
 */
public record ModelParameters(
    int gpuLayers,
    int loadMode,
    boolean vocabularyOnly,
    boolean checkTensors,
    List<String> devices,
    FloatPredicate progress,
    boolean listens) {

  /** Answers a question about a float. */
  @FunctionalInterface
  public interface FloatPredicate {
    /**
     * Answers.
     *
     * @param value the float
     */
    boolean test(float value);
  }
}
