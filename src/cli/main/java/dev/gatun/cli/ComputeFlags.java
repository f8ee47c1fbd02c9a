package dev.gatun.cli;

import dev.gatun.ContextOptions;
import java.util.function.UnaryOperator;

/** The flags that say how a context computes, the same for every command that makes one. */
final class ComputeFlags {
  private ContextOptions options = ContextOptions.defaults();
  private boolean batchThreadsGiven;

  void declare(OptionTable table) {
    table
        .value(
            SharedFlag.MICRO_BATCH,
            v -> options = options.withMicroBatchTokens(Values.whole("-ub", v, 1, 1 << 20)))
        .value(SharedFlag.THREADS, this::threads)
        .value(
            SharedFlag.BATCH_THREADS,
            v -> {
              options = options.withBatchThreads(Values.whole("-tb", v, 1, 512));
              batchThreadsGiven = true;
            })
        .value(
            SharedFlag.KEY_TYPE,
            v -> options = options.withKeyType(ContextFlags.kvType("--kv-k", v)))
        .value(
            SharedFlag.VALUE_TYPE,
            v -> options = options.withValueType(ContextFlags.kvType("--kv-v", v)))
        .value(
            SharedFlag.FLASH_ATTENTION,
            v -> options = options.withFlashAttention(ContextFlags.flashAttention("-fa", v)))
        .value(SharedFlag.SPARSE, v -> options = options.withSparseAttention(SparseFlag.parse(v)))
        .flag(SharedFlag.FULL_WINDOW, () -> options = options.withFullSlidingWindow(true));
  }

  private void threads(String value) {
    int threads = Values.whole("-t", value, 1, 512);
    options = options.withThreads(threads);
    if (!batchThreadsGiven) {
      options = options.withBatchThreads(threads);
    }
  }

  /** Takes what another flag says. */
  void change(UnaryOperator<ContextOptions> change) {
    options = change.apply(options);
  }

  /** What the flags say. */
  ContextOptions options() {
    return options;
  }
}
