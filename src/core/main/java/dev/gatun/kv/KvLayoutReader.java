package dev.gatun.kv;

import dev.gatun.gguf.GgufArray;
import dev.gatun.gguf.GgufType;
import dev.gatun.gguf.GgufValue;
import dev.gatun.gguf.ModelMetadata;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Reads from a model's metadata what llama.cpp v0.5.0 makes of it: {@code
 * llama_model::create_memory}, {@code llama_hparams} and each architecture's {@code
 * load_arch_hparams}.
 *
 * <p>An architecture that stands in no list here is unknown, and so is every one of a later
 * llama.cpp until somebody has read its source.
 */
final class KvLayoutReader {
  /** A cell for every token in every layer, or in those that {@link #sliding} does not name. */
  private static final Set<String> ATTENTION =
      Set.of(
          "afmoe",
          "apertus",
          "arcee",
          "arctic",
          "baichuan",
          "bailingmoe",
          "bailingmoe2",
          "bitnet",
          "bloom",
          "chameleon",
          "chatglm",
          "codeshell",
          "cogvlm",
          "cohere2",
          "cohere2moe",
          "command-r",
          "dbrx",
          "deci",
          "deepseek",
          "deepseek2",
          "deepseek2-ocr",
          "dots1",
          "ernie4_5",
          "ernie4_5-moe",
          "exaone",
          "exaone-moe",
          "exaone4",
          "falcon",
          "gemma",
          "gemma2",
          "gemma3",
          "gemma3n",
          "gemma4",
          "glm4",
          "glm4moe",
          "gpt-oss",
          "gpt2",
          "gptneox",
          "granite",
          "granite_swa",
          "granitemoe",
          "grok",
          "grovemoe",
          "hunyuan-dense",
          "hunyuan-moe",
          "hunyuan_vl",
          "hy_v3",
          "internlm2",
          "jais",
          "jais2",
          "laguna",
          "llama",
          "llama4",
          "maincoder",
          "maple",
          "mellum",
          "mimo2",
          "minicpm",
          "minicpm3",
          "minimax-m2",
          "mistral3",
          "mistral4",
          "mpt",
          "muse-glimmer",
          "nemotron",
          "olmo",
          "olmo2",
          "olmoe",
          "openelm",
          "orion",
          "paddleocr",
          "pangu-embedded",
          "phi2",
          "phi3",
          "phimoe",
          "plamo",
          "plamo3",
          "plm",
          "qwen",
          "qwen2",
          "qwen2moe",
          "qwen2vl",
          "qwen3",
          "qwen3moe",
          "qwen3vl",
          "qwen3vlmoe",
          "refact",
          "seed_oss",
          "smallthinker",
          "smollm3",
          "spark2_5",
          "stablelm",
          "starcoder",
          "starcoder2",
          "step35",
          "talkie",
          "xverse");

  private static final Set<String> RECURRENT =
      Set.of("mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7");

  private static final Set<String> HYBRID =
      Set.of(
          "bailingmoe3",
          "falcon-h1",
          "granitehybrid",
          "jamba",
          "kimi-linear",
          "lfm2",
          "lfm2moe",
          "minimax-01",
          "nemotron_h",
          "nemotron_h_moe",
          "plamo2",
          "qwen35",
          "qwen35moe",
          "qwen3next");

  /** Embedding and diffusion models keep nothing. */
  private static final Set<String> NOTHING =
      Set.of(
          "bert",
          "dream",
          "eurobert",
          "gemma-embedding",
          "jina-bert-v2",
          "jina-bert-v3",
          "llada",
          "llada-moe",
          "modern-bert",
          "neo-bert",
          "nomic-bert",
          "nomic-bert-moe",
          "rnd1");

  private static final Set<String> COMPRESSED =
      Set.of("bailingmoe3", "deepseek2", "kimi-linear", "mistral4");

  private final ModelMetadata model;
  private final String architecture;
  private final int layers; // n_layer_all
  private final int trunk; // n_layer: without those that predict further tokens
  private final Optional<Sliding> sliding;

  /**
   * Which layers slide.
   *
   * @param tokens the window
   * @param period one layer in so many has full attention; 0 for none
   * @param fullFirst whether it is the first of them, not the last
   */
  private record Sliding(long tokens, long period, boolean fullFirst) {}

  KvLayoutReader(ModelMetadata model) {
    this.model = model;
    this.architecture = model.architecture();
    this.layers = model.layerCount().orElse(0);
    this.trunk = layers - (int) Math.min(layers, number("nextn_predict_layers"));
    this.sliding = sliding();
  }

  Optional<KvLayout> read() {
    boolean causal = model.value("attention.causal").map(KvLayoutReader::isTrue).orElse(true);
    if (NOTHING.contains(architecture)) {
      return Optional.of(new KvLayout(List.of(), 0, 0, 0, 0, 0, false, causal));
    }
    boolean attention = ATTENTION.contains(architecture) || HYBRID.contains(architecture);
    boolean recurrent = RECURRENT.contains(architecture) || HYBRID.contains(architecture);
    if (layers == 0
        || model.embeddingLength().isEmpty()
        || (attention && model.headCount(0).isEmpty())
        || (!attention && !recurrent)
        || model.number("full_attention_interval").orElse(1) == 0) {
      return Optional.empty();
    }
    List<KvLayout.Layer> cells = new ArrayList<>();
    int states = 0;
    long widest = 0;
    for (int i = 0; i < layers; i++) {
      KvLayout.Layer layer = layer(i);
      widest = Math.max(widest, layer.valueElements());
      if (attention && hasCells(i)) {
        cells.add(layer);
      }
      if (recurrent && i < trunk && isRecurrent(i)) {
        states++;
      }
    }
    return Optional.of(
        new KvLayout(
            cells,
            states,
            recurrent ? rollingElements() : 0,
            recurrent ? stateElements() : 0,
            widest,
            sliding.map(Sliding::tokens).orElse(0L),
            isCompressed(),
            causal));
  }

  private KvLayout.Layer layer(int layer) {
    boolean slides = slides(layer);
    long key = headSize("attention.key_length");
    long value = headSize("attention.value_length");
    return new KvLayout.Layer(
        slides,
        kvHeads(layer),
        slides ? model.number("attention.key_length_swa").orElse(key) : key,
        slides ? model.number("attention.value_length_swa").orElse(value) : value);
  }

  /** A model whose first layer has no heads has none at all, whatever the file says of them. */
  private long headSize(String suffix) {
    int heads = model.headCount(0).orElse(0);
    if (heads == 0 && !architecture.equals("plamo2")) {
      return 0;
    }
    return model.number(suffix).orElse(heads == 0 ? 0 : model.embeddingLength().orElse(0) / heads);
  }

  private int kvHeads(int layer) {
    return model.kvHeadCount(layer).orElse(0);
  }

  private boolean hasCells(int layer) {
    return switch (architecture) {
      case "falcon-h1" -> true;
      case "nemotron_h", "nemotron_h_moe" ->
          !isRecurrent(layer) && model.feedForwardLength(layer).orElse(0) == 0;
      case "minimax-01", "qwen3next", "qwen35", "qwen35moe" -> layer < trunk && !isRecurrent(layer);
      // The last layers use the cells of earlier ones.
      case "gemma3n" -> layer < Math.min(20, trunk);
      case "gemma4" -> layer < trunk && layer < layers - number("attention.shared_kv_layers");
      default -> HYBRID.contains(architecture) ? !isRecurrent(layer) : trunk == 0 || layer < trunk;
    };
  }

  private boolean isRecurrent(int layer) {
    if (layer >= trunk) {
      return false;
    }
    return switch (architecture) {
      case "minimax-01" -> isRecurrent(layer, 8);
      case "qwen3next", "qwen35", "qwen35moe" -> isRecurrent(layer, 4);
      case "nemotron_h", "nemotron_h_moe" ->
          kvHeads(layer) == 0 && model.feedForwardLength(layer).orElse(0) == 0;
      case "falcon-h1" -> true;
      default -> RECURRENT.contains(architecture) || kvHeads(layer) == 0;
    };
  }

  private boolean isRecurrent(int layer, int interval) {
    Optional<GgufValue> stated = model.value("attention.recurrent_layers");
    if (stated.isPresent()) {
      return at(stated.get(), layer);
    }
    return (layer + 1) % model.number("full_attention_interval").orElse(interval) != 0;
  }

  private boolean isCompressed() {
    return COMPRESSED.contains(architecture)
        && number("attention.key_length_mla") != 0
        && number("attention.value_length_mla") != 0;
  }

  /** {@code llama_hparams::n_embd_r}. */
  private long rollingElements() {
    long width = model.embeddingLength().orElse(0);
    return switch (architecture) {
      case "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7" ->
          KvPlan.times(model.number("token_shift_count").orElse(2), width);
      case "lfm2", "lfm2moe" -> KvPlan.times(width, Math.max(0, number("shortconv.l_cache") - 1));
      case "bailingmoe3", "kimi-linear" -> {
        long kernel = number("ssm.conv_kernel");
        long inner = model.headCount(0).orElse(0) * number("kda.head_dim");
        yield KvPlan.times(3 * (kernel > 0 ? kernel - 1 : 3), inner);
      }
      case "minimax-01" -> 0;
      default -> {
        boolean first = architecture.equals("mamba") || architecture.equals("jamba");
        long groups = first ? 0 : number("ssm.group_count");
        long both = KvPlan.times(2 * groups, number("ssm.state_size"));
        yield KvPlan.times(
            Math.max(0, number("ssm.conv_kernel") - 1),
            KvPlan.plus(number("ssm.inner_size"), both));
      }
    };
  }

  /** {@code llama_hparams::n_embd_s}. */
  private long stateElements() {
    return switch (architecture) {
      case "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7" ->
          KvPlan.times(model.embeddingLength().orElse(0), number("wkv.head_size"));
      case "lfm2", "lfm2moe" -> 0;
      case "bailingmoe3", "kimi-linear" -> square(number("kda.head_dim"));
      case "minimax-01" -> square(headSize("attention.key_length"));
      default -> KvPlan.times(number("ssm.state_size"), number("ssm.inner_size"));
    };
  }

  private long square(long head) {
    return KvPlan.times(KvPlan.times(head, head), model.headCount(0).orElse(0));
  }

  private Optional<Sliding> sliding() {
    long window = number("attention.sliding_window");
    return switch (architecture) {
      case "cohere2", "exaone-moe", "muse-glimmer" -> pattern(window, 4, false);
      case "cohere2moe" -> pattern(window, 4, true);
      case "gemma2" -> pattern(model.number("attention.sliding_window").orElse(4096), 2, false);
      case "gemma3n" -> pattern(window, 5, false);
      case "gpt-oss" -> pattern(window, 2, false);
      // These files list the layers.
      case "gemma4", "granite_swa", "maple", "mimo2", "spark2_5", "step35" ->
          pattern(window, 1, false);
      case "exaone4" ->
          trunk == 64
              ? pattern(model.number("attention.sliding_window").orElse(4096), 4, false)
              : Optional.empty();
      case "llama4" ->
          model.number("attention.sliding_window").orElse(-1) == 0
              ? Optional.empty()
              : pattern(8192, 4, false);
      case "smallthinker" -> window == 0 ? Optional.empty() : pattern(4096, 4, true);
      case "gemma3" -> window == 0 ? Optional.empty() : pattern(window, 6, false);
      case "plamo3" -> window == 0 ? Optional.empty() : pattern(window, 8, false);
      case "afmoe", "mellum", "olmo2" -> window == 0 ? Optional.empty() : pattern(window, 4, false);
      case "laguna" -> window == 0 ? Optional.empty() : pattern(window, 4, true);
      case "lfm2" -> window == 0 ? Optional.empty() : pattern(window, 0, false);
      default -> Optional.empty();
    };
  }

  private Optional<Sliding> pattern(long tokens, long period, boolean fullFirst) {
    Optional<GgufValue> stated = model.slidingWindowPattern();
    return Optional.of(
        new Sliding(
            tokens,
            stated.isPresent() && stated.get() instanceof GgufValue.Whole whole
                ? whole.value()
                : period,
            fullFirst));
  }

  private boolean slides(int layer) {
    if (sliding.isEmpty()) {
      return false;
    }
    if (architecture.equals("lfm2")) {
      return layer < trunk && !isRecurrent(layer);
    }
    Optional<GgufValue> stated = model.slidingWindowPattern();
    if (stated.isPresent() && stated.get() instanceof GgufArray) {
      return at(stated.get(), layer);
    }
    Sliding rule = sliding.get();
    if (layer >= trunk || rule.period() == 0) {
      return layer < trunk;
    }
    long place = layer % rule.period();
    return rule.fullFirst() ? place != 0 : place < rule.period() - 1;
  }

  private long number(String suffix) {
    return model.number(suffix).orElse(0);
  }

  /** A scalar holds for every layer; what an array does not reach is false. */
  private static boolean at(GgufValue value, int layer) {
    if (value instanceof GgufArray array) {
      if (layer >= array.size()) {
        return false;
      }
      return array.elementType() == GgufType.BOOL ? array.bool(layer) : array.whole(layer) != 0;
    }
    return isTrue(value);
  }

  private static boolean isTrue(GgufValue value) {
    // No pattern switch here: its first use costs a cold start some milliseconds.
    return value instanceof GgufValue.Bool truth
        ? truth.value()
        : value instanceof GgufValue.Whole whole && whole.value() != 0;
  }
}
