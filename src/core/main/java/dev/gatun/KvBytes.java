package dev.gatun;

import dev.gatun.error.ContextCreateException;
import dev.gatun.gguf.ModelMetadata;
import dev.gatun.internal.HostMemory;
import dev.gatun.kv.KvCacheType;
import java.util.OptionalInt;

/**
 * Refuses a context whose KV cells cannot be or do not fit, before the native side tries and the
 * process ends.
 */
final class KvBytes {
  private static final long NOT_WORTH_ASKING = 64L << 20;

  private KvBytes() {}

  /**
   * Returns an upper bound of the KV cells' bytes: every layer keeps every token.
   *
   * @return bytes; 0 when the file does not say enough
   */
  static long upperBound(ModelMetadata metadata, ContextOptions options, int contextTokens) {
    if (metadata.layerCount().isEmpty()
        || metadata.headSizeK().isEmpty()
        || metadata.headSizeV().isEmpty()) {
      return 0;
    }
    double elements = 0;
    for (int layer = 0; layer < metadata.layerCount().getAsInt(); layer++) {
      double heads = metadata.kvHeadCount(layer).orElse(0);
      elements +=
          heads
              * (metadata.headSizeK().getAsInt() * bytesPerElement(options.keyType())
                  + metadata.headSizeV().getAsInt() * bytesPerElement(options.valueType()));
    }
    return (long) (elements * contextTokens);
  }

  static void requireRoom(LlamaModel model, ContextOptions options, int contextTokens) {
    long bytes = upperBound(model.metadata(), options, contextTokens);
    if (bytes < NOT_WORTH_ASKING || model.slidingWindowTokens() > 0) {
      return;
    }
    long available = HostMemory.availableBytes();
    boolean onHost = model.options().gpuLayers() instanceof dev.gatun.offload.GpuLayers.None;
    if (bytes > available && (onHost || !HostMemory.hasGpu())) {
      throw new ContextCreateException(
          "a context of %,d tokens needs %,d MiB of KV cells and %,d MiB of memory are available; lower contextTokens (about %,d fit) or choose smaller KV types"
              .formatted(
                  contextTokens,
                  bytes >> 20,
                  available >> 20,
                  (long) (contextTokens * ((double) available / bytes))));
    }
  }

  /**
   * Refuses types whose blocks do not divide a head: without flash attention llama.cpp does not
   * check it for keys, and aborts.
   */
  static void requireWholeBlocks(ModelMetadata metadata, ContextOptions options) {
    requireWholeBlocks("keys", options.keyType(), metadata.headSizeK());
    requireWholeBlocks("keys", options.keyType(), metadata.slidingWindowHeadSizeK());
    requireWholeBlocks("values", options.valueType(), metadata.headSizeV());
    requireWholeBlocks("values", options.valueType(), metadata.slidingWindowHeadSizeV());
  }

  private static void requireWholeBlocks(String what, KvCacheType type, OptionalInt headSize) {
    if (headSize.isPresent() && headSize.getAsInt() % type.blockElements() != 0) {
      throw new ContextCreateException(
          "%s of type %s come in blocks of %d elements, which do not divide the model's heads of %d; use %s of type F16"
              .formatted(what, type, type.blockElements(), headSize.getAsInt(), what));
    }
  }

  private static double bytesPerElement(KvCacheType type) {
    return (double) type.blockBytes() / type.blockElements();
  }
}
