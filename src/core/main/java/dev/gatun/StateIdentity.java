package dev.gatun;

import dev.gatun.gguf.ModelMetadata;
import dev.gatun.internal.NativeMemory;
import dev.gatun.kv.CellLayout;
import dev.gatun.kv.StateSettings;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/** What a context's cells are cells of, and how native code lays them out in a saved state. */
final class StateIdentity {
  /** Architectures with a memory of their own kind ({@code llama_model::create_memory}). */
  private static final Set<String> UNKNOWN_MEMORY =
      Set.of(
          "minimax-m3",
          "glm-dsa",
          "deepseek32",
          "hy_v4",
          "dots3note",
          "deepseek4",
          "dflash",
          "gemma4-assistant",
          "qwen4exp");

  /** Architectures for which llama.cpp reads the lengths of latent attention. */
  private static final Set<String> LATENT =
      Set.of("bailingmoe3", "deepseek2", "kimi-k3", "kimi-linear", "mistral4");

  /** Settings that do not matter to rows of single cells. */
  private static final Set<String> LAYOUT =
      Set.of("flash attention", "pools of cells", "all cells of sliding windows", "state version");

  private StateIdentity() {}

  /** Returns the settings under which cells of the context mean what they mean. */
  static StateSettings settings(LlamaContext context) {
    ContextOptions options = context.options();
    int pools = pools(options);
    Map<String, String> entries = new TreeMap<>();
    entries.put("llama.cpp", LlamaRuntime.load().llamaVersion());
    entries.put("state version", Integer.toString(NativeMemory.STATE_VERSION));
    entries.put("position scaling", context.ropeScaling().toString());
    entries.put("far keys", yesNo(context.hasFarKeys()));
    entries.put("key type", options.keyType().name());
    entries.put("value type", options.valueType().name());
    entries.put("flash attention", options.flashAttention() == FlashAttention.OFF ? "off" : "on");
    entries.put("pools of cells", Integer.toString(pools));
    entries.put(
        "all cells of sliding windows",
        yesNo(options.fullSlidingWindow() || context.model().slidingWindowTokens() == 0));
    entries.put("mixed keys", yesNo(System.getenv("LLAMA_ATTN_ROT_DISABLE") == null));
    if (options.sparseAttention().isStatic()) {
      entries.put("attention", options.sparseAttention().toString()); // texts were read with it
    }
    context.adaptersText().ifPresent(text -> entries.put("adapters", text));
    return new StateSettings(entries);
  }

  /**
   * Returns the settings under which single cells mean what they mean, wherever they are: those of
   * a state but for how the whole is laid out.
   */
  static StateSettings settingsOfCells(LlamaContext context) {
    Map<String, String> entries = new TreeMap<>(settings(context).entries());
    entries.keySet().removeAll(LAYOUT);
    entries.put("model", context.model().file().fingerprint());
    return new StateSettings(entries);
  }

  /** Returns how native code lays out the cells; empty when Gatun does not know it. */
  static Optional<CellLayout> layout(LlamaContext context) {
    LlamaModel model = context.model();
    ModelMetadata metadata = model.metadata();
    String architecture = metadata.architecture();
    if (UNKNOWN_MEMORY.contains(architecture)) {
      return Optional.empty();
    }
    boolean recurrent = model.isRecurrent() || model.isHybrid();
    boolean attention = !model.isRecurrent();
    return Optional.of(
        new CellLayout(
            pools(context.options()),
            attention,
            attention && model.slidingWindowTokens() > 0,
            recurrent,
            !isLatent(metadata),
            NativeMemory.hasWideCells(model.nativeModel()),
            model.vocabularySize()));
  }

  private static int pools(ContextOptions options) {
    return options.unifiedKv() ? 1 : options.maxSequences();
  }

  /** Tells whether keys and values are cached as one compressed row. */
  static boolean isLatent(ModelMetadata metadata) {
    return LATENT.contains(metadata.architecture())
        && metadata.number("attention.key_length_mla").orElse(0) > 0
        && metadata.number("attention.value_length_mla").orElse(0) > 0;
  }

  private static String yesNo(boolean value) {
    return value ? "yes" : "no";
  }
}
