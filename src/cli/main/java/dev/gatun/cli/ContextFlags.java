package dev.gatun.cli;

import dev.gatun.ContextOptions;
import dev.gatun.FlashAttention;
import dev.gatun.kv.KvCacheType;
import java.util.List;
import java.util.Locale;
import java.util.OptionalInt;

/** The flags that shape a context. The short names are those that llama.cpp uses. */
final class ContextFlags {
  static final List<String> KV_TYPES =
      List.of("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1");

  final RopeFlags rope = new RopeFlags();

  private ContextOptions options = ContextOptions.defaults();
  private boolean batchThreadsGiven;

  void declare(OptionTable table) {
    table
        .group("Context:")
        .value(
            "-c,--ctx-size",
            "N",
            "Tokens that the context holds; what the text needs when left out.",
            v -> {
              int tokens = Values.whole("-c/--ctx-size", v, 0, 1 << 30);
              options =
                  tokens == 0
                      ? options.withTrainedContext()
                      : options.withContextTokens(Math.max(2, tokens));
            })
        .value(
            "-b,--batch-size",
            "N",
            "Tokens handed over at once (2048).",
            v -> options = options.withBatchTokens(Values.whole("-b", v, 1, 1 << 20)))
        .value(
            "-ub,--ubatch-size",
            "N",
            "Tokens computed at once (512).",
            v -> options = options.withMicroBatchTokens(Values.whole("-ub", v, 1, 1 << 20)))
        .value("-t,--threads", "N", "Threads while answering.", this::threads)
        .value(
            "-tb,--threads-batch",
            "N",
            "Threads while reading (as -t).",
            v -> {
              options = options.withBatchThreads(Values.whole("-tb", v, 1, 512));
              batchThreadsGiven = true;
            })
        .value(
            "-ctk,--kv-k",
            "TYPE",
            "Type of the keys in the KV cache: " + String.join(", ", KV_TYPES) + " (f16).",
            v -> options = options.withKeyType(kvType("--kv-k", v)))
        .value(
            "-ctv,--kv-v",
            "TYPE",
            "Type of the values in the KV cache (f16).",
            v -> options = options.withValueType(kvType("--kv-v", v)))
        .value(
            "-fa,--flash-attn",
            "on|off|auto",
            "Flash attention (auto).",
            v -> options = options.withFlashAttention(flashAttention("-fa", v)))
        .value(
            SparseFlag.NAME,
            SparseFlag.VALUE,
            SparseFlag.HELP,
            v -> options = options.withSparseAttention(SparseFlag.parse(v)))
        .flag(
            "--reproducible",
            "The same logits wherever a session's cells lie; CPU with flash attention.",
            () -> options = options.withReproducible(true))
        .value(
            "--poll",
            "0..100",
            "How eagerly threads wait for work (50).",
            v -> options = options.withPolling(Values.whole("--poll", v, 0, 100)))
        .flag(
            "-nkvo,--no-kv-offload",
            "Keep the KV cache in host memory.",
            () -> options = options.withOffloadKv(false))
        .flag(
            "--swa-full",
            "Keep the whole KV cache of sliding-window layers.",
            () -> options = options.withFullSlidingWindow(true));
    rope.declare(table);
  }

  private void threads(String value) {
    int threads = Values.whole("-t", value, 1, 512);
    options = options.withThreads(threads);
    if (!batchThreadsGiven) {
      options = options.withBatchThreads(threads);
    }
  }

  /** What the flags say, without RoPE. */
  ContextOptions options() {
    return options;
  }

  /** The size that was asked for. */
  OptionalInt contextTokens() {
    return options.contextTokens();
  }

  static KvCacheType kvType(String flag, String value) {
    return KvCacheType.valueOf(Values.word(flag, value, KV_TYPES).toUpperCase(Locale.ROOT));
  }

  /** The name of a type as its flag takes it. */
  static String kvName(KvCacheType type) {
    return type.name().toLowerCase(Locale.ROOT);
  }

  static FlashAttention flashAttention(String flag, String value) {
    return switch (value) {
      case "on", "1" -> FlashAttention.ON;
      case "off", "0" -> FlashAttention.OFF;
      case "auto", "-1" -> FlashAttention.AUTO;
      default -> throw CliException.usage(flag + " must be on, off or auto, not '" + value + "'");
    };
  }
}
