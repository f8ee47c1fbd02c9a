package dev.gatun.rope;

import dev.gatun.rope.RopeFacts.Trait;
import java.util.EnumSet;
import java.util.Set;

/**
 * What llama.cpp v0.5.0 decides about positions by the architecture's name alone. Source: {@code
 * llama_model_rope_type} in {@code llama-model.cpp}, {@code llm_arch_is_recurrent} and {@code
 * llm_arch_is_hybrid} in {@code llama-arch.cpp}, and {@code src/models/}.
 */
final class RopeArchitectures {
  static final Set<String> WITHOUT_ROPE =
      Set.of(
          "clip",
          "gpt2",
          "gptj",
          "mpt",
          "refact",
          "bloom",
          "mamba",
          "mamba2",
          "jamba",
          "jina-bert-v2",
          "t5",
          "t5encoder",
          "jais",
          "rwkv6",
          "rwkv6qwen2",
          "rwkv7",
          "arwkv7",
          "wavtokenizer-dec",
          "nemotron_h",
          "nemotron_h_moe",
          "kimi-linear",
          "kimi-k3");

  static final Set<String> SEVERAL_AXES =
      Set.of(
          "qwen2vl",
          "paddleocr",
          "qwen3vl",
          "qwen3vlmoe",
          "qwen35",
          "qwen35moe",
          "qwen4exp",
          "qwen3tts");

  static final Set<String> RECURRENT =
      Set.of(
          "mamba",
          "mamba2",
          "rwkv6",
          "rwkv6qwen2",
          "rwkv7",
          "arwkv7",
          "jamba",
          "falcon-h1",
          "plamo2",
          "granitehybrid",
          "lfm2",
          "lfm2moe",
          "nemotron_h",
          "nemotron_h_moe",
          "qwen3next",
          "kimi-linear",
          "bailingmoe3",
          "kimi-k3",
          "qwen35",
          "qwen35moe",
          "qwen4exp",
          "deepseek4",
          "minimax-01");

  /** Have sliding-window layers whatever the file says: the width has a default. */
  static final Set<String> ALWAYS_SLIDING = Set.of("gemma2", "llama4");

  /** Read a sliding window from the file and ignore nothing of it; phi3 and llama ignore it. */
  static final Set<String> SLIDING =
      Set.of(
          "afmoe",
          "cohere2",
          "cohere2moe",
          "deepseek4",
          "dflash",
          "dots3note",
          "exaone-moe",
          "exaone4",
          "gemma-embedding",
          "gemma3",
          "gemma3n",
          "gemma4",
          "gemma4-assistant",
          "gpt-oss",
          "granite_swa",
          "laguna",
          "lfm2",
          "lfm2moe",
          "maple",
          "mellum",
          "mimo2",
          "modern-bert",
          "muse-glimmer",
          "olmo2",
          "plamo3",
          "smallthinker",
          "spark2_5",
          "step35");

  private static final Set<String> ROTATE_SLIDING_LAYERS_ONLY =
      Set.of("cohere2", "exaone4", "muse-glimmer");

  private static final Set<String> SOME_LAYERS_UNROTATED =
      Set.of(
          "afmoe", "cohere2moe", "exaone-moe", "granite_swa", "llama4", "smallthinker", "smollm3");

  private RopeArchitectures() {}

  static Set<Trait> traits(String architecture) {
    Set<Trait> traits = EnumSet.noneOf(Trait.class);
    if (WITHOUT_ROPE.contains(architecture)) {
      traits.add(Trait.NO_ROPE);
    }
    if (SEVERAL_AXES.contains(architecture)) {
      traits.add(Trait.SEVERAL_AXES);
    }
    if (RECURRENT.contains(architecture)) {
      traits.add(Trait.RECURRENT);
    }
    if (SOME_LAYERS_UNROTATED.contains(architecture)) {
      traits.add(Trait.SOME_LAYERS_UNROTATED);
    }
    return traits;
  }

  static boolean slides(String architecture, boolean windowStated) {
    return ALWAYS_SLIDING.contains(architecture)
        || (windowStated && SLIDING.contains(architecture));
  }

  static boolean rotatesSlidingLayersOnly(String architecture) {
    return ROTATE_SLIDING_LAYERS_ONLY.contains(architecture);
  }
}
