package dev.gatun;

import dev.gatun.offload.Device;
import dev.gatun.offload.GpuLayers;
import java.util.List;
import java.util.Objects;

/**
 * How a model is loaded. Immutable; start from {@link #defaults()}.
 *
 * @param gpuLayers layers on GPUs; default all, when there is a GPU
 * @param devices devices to use, from {@link LlamaRuntime#devices()}; empty means all
 * @param loadMode how the weights come into memory
 * @param vocabularyOnly loads the tokenizer and no weights; no context can be made
 * @param checkTensors looks through all weights for invalid numbers while loading; slow
 * @param progress called while loading
 * @param cancellation ends the load
 */
public record ModelOptions(
    GpuLayers gpuLayers,
    List<Device> devices,
    LoadMode loadMode,
    boolean vocabularyOnly,
    boolean checkTensors,
    LoadProgress progress,
    Cancellation cancellation) {

  /** The progress listener of {@link #defaults()}: it goes on and does nothing. */
  static final LoadProgress NO_PROGRESS = fraction -> true;

  /** Copies the list and refuses null. */
  public ModelOptions {
    Objects.requireNonNull(gpuLayers, "gpuLayers");
    devices = List.copyOf(devices);
    Objects.requireNonNull(loadMode, "loadMode");
    Objects.requireNonNull(progress, "progress");
    Objects.requireNonNull(cancellation, "cancellation");
  }

  /** Returns the defaults: all layers on GPUs where there are any, a memory map, no progress. */
  public static ModelOptions defaults() {
    return new ModelOptions(
        GpuLayers.all(), List.of(), LoadMode.AUTO, false, false, NO_PROGRESS, Cancellation.never());
  }

  /** Returns a copy with other layers on GPUs. */
  public ModelOptions withGpuLayers(GpuLayers value) {
    return new ModelOptions(
        value, devices, loadMode, vocabularyOnly, checkTensors, progress, cancellation);
  }

  /** Returns a copy that uses these devices only. */
  public ModelOptions withDevices(List<Device> value) {
    return new ModelOptions(
        gpuLayers, value, loadMode, vocabularyOnly, checkTensors, progress, cancellation);
  }

  /** Returns a copy with another load mode. */
  public ModelOptions withLoadMode(LoadMode value) {
    return new ModelOptions(
        gpuLayers, devices, value, vocabularyOnly, checkTensors, progress, cancellation);
  }

  /** Returns a copy that loads the tokenizer only, or everything. */
  public ModelOptions withVocabularyOnly(boolean value) {
    return new ModelOptions(
        gpuLayers, devices, loadMode, value, checkTensors, progress, cancellation);
  }

  /** Returns a copy that looks through all weights, or does not. */
  public ModelOptions withCheckTensors(boolean value) {
    return new ModelOptions(
        gpuLayers, devices, loadMode, vocabularyOnly, value, progress, cancellation);
  }

  /** Returns a copy with a progress listener. */
  public ModelOptions withProgress(LoadProgress value) {
    return new ModelOptions(
        gpuLayers, devices, loadMode, vocabularyOnly, checkTensors, value, cancellation);
  }

  /** Returns a copy that can be cancelled while loading. */
  public ModelOptions withCancellation(Cancellation value) {
    return new ModelOptions(
        gpuLayers, devices, loadMode, vocabularyOnly, checkTensors, progress, value);
  }
}
