package dev.gatun.internal;

import static dev.gatun.bindings.generated.gatun_shim_h.gatun_set_adapter_cvec;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_set_adapters_lora;

import dev.gatun.error.LlamaException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * LoRA adapters and control vectors of a context. Every method is called inside the context's
 * guard.
 */
public final class NativeAdapters {
  private NativeAdapters() {}

  /** Applies these adapters and no others. */
  public static void setLoras(
      NativeContext context, List<MemorySegment> adapters, List<Float> scales) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment handles = call.allocate(ValueLayout.ADDRESS, Math.max(1, adapters.size()));
      MemorySegment factors = call.allocate(ValueLayout.JAVA_FLOAT, Math.max(1, adapters.size()));
      for (int i = 0; i < adapters.size(); i++) {
        handles.setAtIndex(ValueLayout.ADDRESS, i, adapters.get(i));
        factors.setAtIndex(ValueLayout.JAVA_FLOAT, i, scales.get(i));
      }
      ErrorBuffer error = context.error();
      int status =
          gatun_set_adapters_lora(
              context.handle(),
              handles,
              adapters.size(),
              factors,
              error.segment(),
              error.capacity());
      NativeLog.drain();
      Status.check("llama_set_adapters_lora", status, error, LlamaException::new);
    }
  }

  /**
   * Applies a control vector.
   *
   * @param directions {@code [layers][width]}, layer 1 first
   */
  public static void setControlVector(
      NativeContext context, float[][] directions, int firstLayer, int lastLayer) {
    int width = directions[0].length;
    try (Arena call = Arena.ofConfined()) {
      MemorySegment data =
          call.allocate(
              ValueLayout.JAVA_FLOAT, Math.multiplyExact((long) directions.length, width));
      for (int layer = 0; layer < directions.length; layer++) {
        MemorySegment.copy(
            directions[layer], 0, data, ValueLayout.JAVA_FLOAT, 4L * layer * width, width);
      }
      apply(context, data, (long) directions.length * width, width, firstLayer, lastLayer);
    }
  }

  /** Removes the control vector. */
  public static void clearControlVector(NativeContext context) {
    apply(context, MemorySegment.NULL, 0, 0, 0, 0);
  }

  private static void apply(
      NativeContext context, MemorySegment data, long floats, int width, int first, int last) {
    ErrorBuffer error = context.error();
    int status =
        gatun_set_adapter_cvec(
            context.handle(), data, floats, width, first, last, error.segment(), error.capacity());
    NativeLog.drain();
    Status.check("llama_set_adapter_cvec", status, error, LlamaException::new);
  }
}
