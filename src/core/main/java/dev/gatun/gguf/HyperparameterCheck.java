package dev.gatun.gguf;

import java.util.Arrays;
import java.util.OptionalLong;
import java.util.Set;

/**
 * Refuses sizes and switches of a model on which llama.cpp would end the process.
 *
 * <p>One class although it is long: one rule after the other, each with its reason, all about the
 * same keys.
 */
final class HyperparameterCheck {
  // llama.cpp's own limits: LLAMA_MAX_LAYERS, LLAMA_MAX_EXPERTS.
  private static final int MAX_LAYERS = 512;
  private static final int MAX_EXPERTS = 1024;
  private static final int MAX_HEADS = 65_536;
  private static final int MAX_HEAD_SIZE = 65_536;
  private static final long MAX_WINDOW = Integer.MAX_VALUE;
  private static final int MAX_POOLING = 4;
  private static final int MAX_GATING = 4;

  /** Architectures whose graph asserts that a head is rotated whole. */
  private static final Set<String> WHOLE_HEAD_ROTATED =
      Set.of(
          "apertus",
          "arcee",
          "arctic",
          "baichuan",
          "chameleon",
          "codeshell",
          "cogvlm",
          "cohere2moe",
          "dbrx",
          "deci",
          "deepseek",
          "dots1",
          "dream",
          "ernie4_5",
          "ernie4_5-moe",
          "exaone",
          "exaone-moe",
          "exaone4",
          "falcon",
          "granite",
          "granitemoe",
          "granite_swa",
          "graniteswitch",
          "grok",
          "grovemoe",
          "hunyuan-dense",
          "hunyuan-moe",
          "hunyuan_vl",
          "hy_v3",
          "internlm2",
          "jais2",
          "llada",
          "llada-moe",
          "llama",
          "llama-embed",
          "llama4",
          "maincoder",
          "mellum",
          "minicpm",
          "mistral3",
          "olmo",
          "olmo2",
          "olmoe",
          "orion",
          "paddleocr",
          "pangu-embedded",
          "plamo",
          "pockettts",
          "qwen2",
          "qwen2moe",
          "qwen2vl",
          "qwen3",
          "qwen3moe",
          "qwen3tts",
          "qwen3vl",
          "qwen3vlmoe",
          "rnd1",
          "seed_oss",
          "smallthinker",
          "smollm3",
          "starcoder2",
          "talkie",
          "xverse");

  /** Architectures whose keys and values may have heads of different sizes. */
  private static final Set<String> UNEQUAL_HEADS =
      Set.of(
          "arwkv7",
          "bailingmoe",
          "bailingmoe3",
          "deepseek2",
          "deepseek2-ocr",
          "deepseek32",
          "deepseek4",
          "dflash",
          "dots3note",
          "falcon-h1",
          "gemma",
          "gemma-embedding",
          "gemma2",
          "gemma3",
          "gemma3n",
          "gemma4",
          "gemma4-assistant",
          "glm-dsa",
          "gpt-oss",
          "hrm_text",
          "hy_v4",
          "jamba",
          "kimi-k3",
          "kimi-linear",
          "mamba",
          "mamba2",
          "mimo2",
          "minicpm3",
          "mistral4",
          "phimoe",
          "plamo2",
          "plamo3",
          "plm",
          "rwkv6",
          "rwkv6qwen2",
          "rwkv7",
          "step35",
          "t5",
          "t5encoder",
          "wavtokenizer-dec");

  /** Architectures that must have a sliding-window layer. */
  private static final Set<String> SLIDING =
      Set.of(
          "cohere2",
          "cohere2moe",
          "dots3note",
          "exaone-moe",
          "gemma-embedding",
          "gemma2",
          "gemma3n",
          "gemma4",
          "gemma4-assistant",
          "gpt-oss",
          "granite_swa",
          "maple",
          "mimo2",
          "muse-glimmer",
          "spark2_5",
          "step35");

  /** Architectures that must have one when their file states a window. */
  private static final Set<String> SLIDING_WITH_WINDOW =
      Set.of(
          "afmoe",
          "exaone4",
          "gemma3",
          "laguna",
          "lfm2",
          "lfm2moe",
          "llama4",
          "mellum",
          "modern-bert",
          "olmo2",
          "plamo3",
          "smallthinker");

  /** Architectures whose layer 0 has full attention when the pattern is a period. */
  private static final Set<String> FULL_FIRST =
      Set.of("cohere2moe", "laguna", "modern-bert", "smallthinker");

  /** Architectures without rotation, whose files need not say how much is rotated. */
  private static final Set<String> UNROTATED =
      Set.of(
          "bert",
          "bloom",
          "gpt2",
          "granitehybrid",
          "jais",
          "jamba",
          "jina-bert-v2",
          "mpt",
          "nemotron_h",
          "nemotron_h_moe",
          "refact",
          "starcoder",
          "t5",
          "t5encoder");

  /** Architectures that can do without attention heads. */
  private static final Set<String> HEADLESS =
      Set.of("mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7", "wavtokenizer-dec");

  /** Architectures that may leave experts out in some layers. */
  private static final Set<String> SOME_LAYERS_WITHOUT_EXPERTS =
      Set.of("nemotron_h", "nemotron_h_moe");

  /** Architectures with Mamba-2 layers, whose heads are as many as the rank of the time step. */
  private static final Set<String> SECOND_MAMBA =
      Set.of(
          "mamba2",
          "falcon-h1",
          "granitehybrid",
          "nemotron_h",
          "nemotron_h_moe",
          "qwen3next",
          "qwen35",
          "qwen35moe",
          "qwen4exp");

  /** Keys by which native code divides. */
  private static final String[] DIVISORS = {
    "attention.group_norm_groups",
    "attention.indexer.block_size",
    "attention.output_group_count",
    "attention.relative_buckets_count",
    "attention.temperature_length",
    "conv_group_size",
    "experts_per_group",
    "full_attention_interval",
    "hrm.h_cycles",
    "hrm.l_cycles",
    "hrm.layers_per_stack",
    "num_loops",
    "posnet.block_count",
    "convnext.block_count",
    "shortconv.l_cache",
    "ssm.conv_kernel",
    "ssm.inner_size",
    "ssm.state_size",
    "ssm.time_step_rank",
    "token_shift_count",
    "wkv.head_size"
  };

  private static final Set<String> SCALING_TYPES = Set.of("none", "linear", "yarn", "longrope");

  private final ModelFileCheck file;
  private final int layers;
  private final long[] heads;
  private final long[] kvHeads;

  private HyperparameterCheck(ModelFileCheck file) {
    this.file = file;
    String blocks = file.key("block_count");
    file.range(blocks, 1, MAX_LAYERS);
    this.layers = (int) file.uint32(blocks).orElse(0);
    this.heads = perLayer("attention.head_count", new long[layers]);
    this.kvHeads = perLayer("attention.head_count_kv", heads);
  }

  static void check(ModelFileCheck file) {
    if (file.architecture().equals("clip") || file.architecture().equals("(unknown)")) {
      throw file.fault("general.architecture", "must be that of a language model");
    }
    if (file.uint32(file.key("block_count")).isEmpty()) {
      return; // Native code reports it before it uses anything else.
    }
    HyperparameterCheck check = new HyperparameterCheck(file);
    check.layers();
    check.experts();
    check.heads();
    check.slidingWindow();
    check.rope();
    check.recurrence();
    check.temperature();
    check.switches();
  }

  private void layers() {
    file.range(file.key("nextn_predict_layers"), 0, layers - 1);
    file.range(file.key("context_length"), 0, Integer.MAX_VALUE);
    file.range(file.key("embedding_length"), 1, Integer.MAX_VALUE);
    file.range(file.key("embedding_length_out"), 0, 1 << 24);
    file.range(file.key("n_deepstack_layers"), 0, layers);
    file.range(file.key("decoder_block_count"), 1, MAX_LAYERS);
    file.range(file.key("attention.sliding_window"), 0, MAX_WINDOW);
    file.range(file.key("attention.shared_kv_layers"), 0, layers - 2L < 0 ? 0 : layers - 2L);
    file.range(file.key("posnet.block_count"), 0, layers);
    file.range(file.key("convnext.block_count"), 0, layers);
    if (file.architecture().startsWith("ernie4_5")) {
      file.range(file.key("interleave_moe_layer_step"), 1, MAX_LAYERS);
    }
    for (String suffix : DIVISORS) {
      file.range(file.key(suffix), 1, 0xFFFF_FFFFL);
    }
  }

  private void experts() {
    String countKey = file.key("expert_count");
    String usedKey = file.key("expert_used_count");
    String groupsKey = file.key("expert_group_count");
    String usedGroupsKey = file.key("expert_group_used_count");
    file.range(countKey, 0, MAX_EXPERTS);
    long count = file.uint32(countKey).orElse(0);
    long[] used = perLayer("expert_used_count", new long[layers]);
    long mostUsed = 0;
    long leastUsed = Long.MAX_VALUE;
    for (long inLayer : used) {
      mostUsed = Math.max(mostUsed, inLayer);
      leastUsed = Math.min(leastUsed, inLayer);
    }
    long groups = file.uint32(groupsKey).orElse(0);
    if (mostUsed > count) {
      throw file.fault(usedKey, "must be at most " + countKey + ", which is " + count);
    }
    if (count == 0) {
      file.range(groupsKey, 0, 0);
      return;
    }
    boolean everywhere = !SOME_LAYERS_WITHOUT_EXPERTS.contains(file.architecture());
    if (mostUsed == 0 || (everywhere && leastUsed == 0)) {
      throw file.fault(usedKey, "must be at least 1, for there are " + count + " experts");
    }
    if (groups >= count) {
      throw file.fault(groupsKey, "must be less than " + countKey + ", which is " + count);
    }
    if (groups > 1) {
      if (count % groups != 0) {
        throw file.fault(groupsKey, "must divide " + countKey + ", which is " + count);
      }
      long usedGroups = file.uint32(usedGroupsKey).orElse(0);
      if (usedGroups < 1 || usedGroups >= groups) {
        throw file.fault(usedGroupsKey, "must be between 1 and " + (groups - 1));
      }
      if (mostUsed > count / groups * usedGroups) {
        throw file.fault(usedKey, "must be at most the experts of " + usedGroups + " groups");
      }
      if (count / groups < 2) {
        throw file.fault(groupsKey, "must leave at least two experts to a group");
      }
    }
  }

  private void heads() {
    String headsKey = file.key("attention.head_count");
    String kvKey = file.key("attention.head_count_kv");
    boolean any = false;
    for (int i = 0; i < layers; i++) {
      if (heads[i] > MAX_HEADS || kvHeads[i] > MAX_HEADS) {
        throw file.fault(
            heads[i] > MAX_HEADS ? headsKey : kvKey,
            "must be at most " + MAX_HEADS + " everywhere");
      }
      if (heads[i] > 0 && kvHeads[i] > 0 && heads[i] % kvHeads[i] != 0) {
        throw file.fault(
            kvKey, "must divide " + headsKey + ", which is " + heads[i] + " in layer " + i);
      }
      any |= heads[i] > 0;
    }
    if (!any && !HEADLESS.contains(file.architecture())) {
      throw file.fault(headsKey, "must be at least 1");
    }
    headSizes("");
    headSizes("_swa");
  }

  private void headSizes(String window) {
    String keyKey = file.key("attention.key_length" + window);
    String valueKey = file.key("attention.value_length" + window);
    file.range(keyKey, 1, MAX_HEAD_SIZE);
    file.range(valueKey, 1, MAX_HEAD_SIZE);
    long key = headSize("attention.key_length", window);
    long value = headSize("attention.value_length", window);
    if (key != value && !UNEQUAL_HEADS.contains(file.architecture())) {
      throw file.refusal(
          "keys have heads of " + key + " elements and values heads of " + value,
          "architecture '" + file.architecture() + "' has equal ones");
    }
    String rotatedKey = file.key("rope.dimension_count" + window);
    OptionalLong stated = file.uint32(rotatedKey);
    if (stated.isPresent() && (stated.getAsLong() % 2 != 0 || stated.getAsLong() > MAX_HEAD_SIZE)) {
      throw file.fault(rotatedKey, "must be even and at most " + MAX_HEAD_SIZE);
    }
    long rotated = stated.orElse(file.uint32(file.key("rope.dimension_count")).orElse(key));
    if (!HEADLESS.contains(file.architecture())) {
      if (rotated == 0 && key > 0 && !UNROTATED.contains(file.architecture())) {
        throw file.fault(rotatedKey, "must be at least 2");
      }
      if (rotated > key && key > 0) {
        throw file.fault(rotatedKey, "must be at most the " + key + " elements of a head");
      }
      if (rotated != key && WHOLE_HEAD_ROTATED.contains(file.architecture())) {
        throw file.fault(rotatedKey, "must be the " + key + " elements of a head");
      }
      if (rotated % 2 != 0) {
        throw file.refusal("a head has " + rotated + " rotated elements", "there must be pairs");
      }
    }
    mla(window, rotated);
  }

  private void mla(String window, long rotated) {
    String keyKey = file.key("attention.key_length_mla" + window);
    String valueKey = file.key("attention.value_length_mla" + window);
    file.range(keyKey, 0, MAX_HEAD_SIZE);
    file.range(valueKey, 0, MAX_HEAD_SIZE);
    long key = file.uint32(keyKey).orElse(0);
    long value = file.uint32(valueKey).orElse(0);
    if ((key == 0) != (value == 0)) {
      throw file.fault(key == 0 ? keyKey : valueKey, "must be given together with its pair");
    }
    if (key == 0) {
      return;
    }
    if (key <= rotated) {
      throw file.fault(keyKey, "must be more than the " + rotated + " rotated elements");
    }
    // All heads share one compressed key, which is the compressed value and the rotated part.
    for (long count : kvHeads) {
      if (count > 1) {
        throw file.fault(file.key("attention.head_count_kv"), "must be 1 with compressed keys");
      }
    }
    String rankKey = file.key("attention.kv_lora_rank");
    long rank = file.uint32(rankKey).orElse(0);
    if (rank != 0 && window.isEmpty()) {
      long cachedKey = headSize("attention.key_length", "");
      long cachedValue = headSize("attention.value_length", "");
      if (cachedKey != rank + rotated || cachedValue != rank) {
        throw file.fault(
            rankKey,
            "must be the value's length of "
                + cachedValue
                + " and with "
                + rotated
                + " rotated elements the key's of "
                + cachedKey);
      }
    }
  }

  /** The size of a head as native code computes it. */
  private long headSize(String suffix, String window) {
    if (layers == 0 || heads[0] == 0) {
      return 0;
    }
    long width = file.uint32(file.key("embedding_length")).orElse(0);
    long full = file.uint32(file.key(suffix)).orElse(width / heads[0]);
    return window.isEmpty() ? full : file.uint32(file.key(suffix + window)).orElse(full);
  }

  private void slidingWindow() {
    String windowKey = file.key("attention.sliding_window");
    String patternKey = file.key("attention.sliding_window_pattern");
    boolean windowed = file.uint32(windowKey).orElse(0) > 0;
    if (SLIDING.contains(file.architecture())) {
      file.range(windowKey, 1, MAX_WINDOW);
    } else if (!windowed || !SLIDING_WITH_WINDOW.contains(file.architecture())) {
      return;
    }
    boolean fullFirst = FULL_FIRST.contains(file.architecture());
    boolean any = !fullFirst || layers > 1;
    GgufValue pattern = file.file().metadata().get(patternKey);
    if (pattern instanceof GgufValue.Whole period && period.type() == GgufType.UINT32) {
      any = period.value() == 0 || (period.value() > 1 && any);
    } else if (pattern instanceof GgufArray array) {
      any = false;
      for (int i = 0; i < Math.min(layers, array.size()); i++) {
        any |=
            (array.elementType() == GgufType.BOOL && array.bool(i))
                || (array.elementType().isInteger() && array.whole(i) != 0);
      }
    }
    if (!any) {
      throw file.fault(patternKey, "must make at least one layer a sliding-window layer");
    }
  }

  private void rope() {
    String typeKey = file.key("rope.scaling.type");
    if (file.file().metadata().get(typeKey) instanceof GgufValue.Text type
        && !SCALING_TYPES.contains(type.value())) {
      throw file.fault(typeKey, "must be one of none, linear, yarn and longrope");
    }
    for (String suffix : new String[] {"rope.freq_base", "rope.freq_base_swa"}) {
      if (file.file().metadata().get(file.key(suffix)) instanceof GgufValue.Real base
          && base.value() <= 0) {
        throw file.fault(file.key(suffix), "must be positive");
      }
    }
    for (String suffix :
        new String[] {
          "attention.layer_norm_epsilon",
          "attention.layer_norm_rms_epsilon",
          "attention.group_norm_epsilon",
          "hyper_connection.epsilon",
          "rope.scaling.yarn_ext_factor"
        }) {
      if (file.file().metadata().get(file.key(suffix)) instanceof GgufValue.Real real
          && real.value() < 0) {
        throw file.fault(file.key(suffix), "must not be negative");
      }
    }
    sections();
  }

  private void sections() {
    String key = file.key("rope.dimension_sections");
    if (file.file().metadata().get(key) instanceof GgufArray array
        && array.elementType().isInteger()) {
      long sum = 0;
      for (int i = 0; i < array.size(); i++) {
        long section = array.whole(i);
        if (section < 0 || section > MAX_HEAD_SIZE) {
          throw file.fault(key, "must hold counts of at most " + MAX_HEAD_SIZE);
        }
        sum += section;
      }
      long rotated =
          file.uint32(file.key("rope.dimension_count"))
              .orElse(headSize("attention.key_length", ""));
      if (sum == 0 || sum > Math.max(1, rotated)) {
        throw file.fault(key, "must add up to between 1 and " + rotated);
      }
    }
  }

  private void recurrence() {
    String groupsKey = file.key("ssm.group_count");
    String innerKey = file.key("ssm.inner_size");
    String rankKey = file.key("ssm.time_step_rank");
    long inner = file.uint32(innerKey).orElse(0);
    file.range(file.key("ssm.conv_kernel"), 1, 1 << 16);
    file.range(innerKey, 1, 1 << 24);
    file.range(file.key("ssm.state_size"), 1, 1 << 16);
    file.range(file.key("shortconv.l_cache"), 2, 1 << 16);
    long width = file.uint32(file.key("embedding_length")).orElse(0);
    String headKey = file.key("wkv.head_size");
    if (width % file.uint32(headKey).orElse(1) != 0) {
      throw file.fault(headKey, "must divide the embedding length of " + width);
    }
    if (inner == 0) {
      return;
    }
    boolean doubled =
        file.architecture().equals("jamba") || file.architecture().equals("granitehybrid");
    if (doubled && inner != 2 * width) {
      throw file.fault(innerKey, "must be twice the embedding length of " + width);
    }
    OptionalLong groups = file.uint32(groupsKey);
    long rank = file.uint32(rankKey).orElse(0);
    if (SECOND_MAMBA.contains(file.architecture())) {
      if (groups.isPresent() && (groups.getAsLong() == 0 || inner % groups.getAsLong() != 0)) {
        throw file.fault(groupsKey, "must divide " + innerKey + ", which is " + inner);
      }
      if (rank == 0 || inner % rank != 0) {
        throw file.fault(rankKey, "must divide " + innerKey + ", which is " + inner);
      }
      if (groups.isPresent() && rank % groups.getAsLong() != 0) {
        throw file.fault(groupsKey, "must divide " + rankKey + ", which is " + rank);
      }
    } else if (file.architecture().equals("plamo2")) {
      file.range(groupsKey, 0, 0);
      if (rank == 0 || inner % rank != 0) {
        throw file.fault(rankKey, "must divide " + innerKey + ", which is " + inner);
      }
    }
  }

  private void temperature() {
    String lengthKey = file.key("attention.temperature_length");
    boolean needsLength =
        file.architecture().equals("deepseek2") || file.architecture().equals("mistral4");
    if (needsLength
        && file.file().metadata().get(file.key("attention.temperature_scale"))
            instanceof GgufValue.Real scale
        && scale.value() != 0
        && file.uint32(lengthKey).isEmpty()) {
      throw file.fault(lengthKey, "must be there beside attention.temperature_scale");
    }
  }

  private void switches() {
    file.range(file.key("pooling_type"), 0, MAX_POOLING);
    file.range(file.key("expert_gating_func"), 0, MAX_GATING);
  }

  /** Returns a value for each layer as native code reads it, or {@code otherwise}. */
  private long[] perLayer(String suffix, long[] otherwise) {
    // No pattern switch here: its first use costs a cold start some milliseconds.
    GgufValue stated = file.file().metadata().get(file.key(suffix));
    long[] values = new long[layers];
    if (stated instanceof GgufValue.Whole whole && whole.type() == GgufType.UINT32) {
      Arrays.fill(values, whole.value());
      return values;
    }
    if (!(stated instanceof GgufArray array) || array.size() != layers) {
      return otherwise;
    }
    GgufType type = array.elementType();
    if (type != GgufType.BOOL && type != GgufType.UINT32 && type != GgufType.INT32) {
      return otherwise;
    }
    for (int i = 0; i < layers; i++) {
      if (type == GgufType.BOOL) {
        values[i] = array.bool(i) ? 1 : 0;
      } else {
        values[i] = array.whole(i) & 0xFFFF_FFFFL;
      }
    }
    return values;
  }
}
