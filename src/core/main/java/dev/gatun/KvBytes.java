package dev.gatun;

import dev.gatun.error.ContextCreateException;
import dev.gatun.gguf.ModelMetadata;
import dev.gatun.internal.HostMemory;
import dev.gatun.kv.KvCacheType;
import dev.gatun.kv.KvLayout;
import dev.gatun.kv.KvSettings;
import dev.gatun.offload.GpuLayers;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Refuses a context whose KV cells cannot be or do not fit, before the native side tries and the
 * process ends.
 */
final class KvBytes {
  private static final long NOT_WORTH_ASKING = 64L << 20;

  private KvBytes() {}

  /**
   * Refuses a context that does not fit into the host's memory; one on a GPU is left to its driver.
   *
   * @param layout empty for an architecture whose memory is not predicted, which is let through
   */
  static void requireRoom(LlamaModel model, Optional<KvLayout> layout, KvSettings settings) {
    if (layout.isEmpty()) {
      return;
    }
    long bytes = layout.get().plan(settings).totalBytes();
    if (bytes < NOT_WORTH_ASKING) {
      return;
    }
    long available = HostMemory.availableBytes();
    boolean onHost = model.options().gpuLayers() instanceof GpuLayers.None;
    if (bytes > available && (onHost || !HostMemory.hasGpu())) {
      throw new ContextCreateException(
          "a context of %,d tokens needs %,d MiB of KV cells and states and %,d MiB of memory are available; lower contextTokens (%s), lower maxSequences or choose smaller KV types"
              .formatted(
                  settings.contextTokens(),
                  bytes >> 20,
                  available >> 20,
                  fitting(layout.get(), settings, available)));
    }
  }

  private static String fitting(KvLayout layout, KvSettings settings, long available) {
    int fits = 0;
    int tooMany = settings.contextTokens();
    while (tooMany - fits > 1) {
      int tokens = fits + (tooMany - fits) / 2;
      if (layout.plan(settings.withContextTokens(tokens)).totalBytes() <= available) {
        fits = tokens;
      } else {
        tooMany = tokens;
      }
    }
    return fits < 2 ? "but not even 2 fit" : "at most %,d fit".formatted(fits);
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
}
