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

  private final ComputeFlags compute = new ComputeFlags();

  void declare(OptionTable table) {
    table
        .group("Context:")
        .value(
            "-c,--ctx-size",
            "N",
            "Tokens that the context holds; what the text needs when left out.",
            v -> {
              int tokens = Values.whole("-c/--ctx-size", v, 0, 1 << 30);
              compute.change(
                  options ->
                      tokens == 0
                          ? options.withTrainedContext()
                          : options.withContextTokens(Math.max(2, tokens)));
            })
        .value(
            SharedFlag.BATCH,
            v -> {
              int tokens = Values.whole("-b", v, 1, 1 << 20);
              compute.change(options -> options.withBatchTokens(tokens));
            });
    compute.declare(table);
    table
        .value(
            SharedFlag.POLL,
            v -> {
              int eagerness = Values.whole("--poll", v, 0, 100);
              compute.change(options -> options.withPolling(eagerness));
            })
        .flag(
            "--reproducible",
            "The same logits wherever a session's cells lie; CPU with flash attention.",
            () -> compute.change(options -> options.withReproducible(true)))
        .flag(
            "-nkvo,--no-kv-offload",
            "Keep the KV cache in host memory.",
            () -> compute.change(options -> options.withOffloadKv(false)));
    rope.declare(table);
  }

  /** What the flags say, without RoPE. */
  ContextOptions options() {
    return compute.options();
  }

  /** The size that was asked for. */
  OptionalInt contextTokens() {
    return compute.options().contextTokens();
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
