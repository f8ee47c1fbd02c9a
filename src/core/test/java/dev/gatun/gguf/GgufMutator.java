package dev.gatun.gguf;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * Damages a model file in the ways that files are damaged, and in the ways that an attacker would.
 *
 * <p>The same file and seed give the same damage. Half of the kinds work on bytes; the others
 * decode the file, change one thing and write it again, so that the damage lies deeper than the
 * container. Long because a fifth of it is the tables of hostile values.
 */
public final class GgufMutator {
  /** What was done, and the result. */
  public record Mutation(String description, byte[] bytes) {}

  /** The kinds of damage. */
  public enum Kind {
    BIT_FLIP,
    BYTE_RUN,
    TRUNCATION,
    HEADER_INTEGER,
    VALUE,
    TYPE_SWAP,
    KEY_ADDED,
    KEY_REMOVED,
    ARRAY,
    TENSOR,
    ARCHITECTURE,
    WEIGHTS
  }

  private static final Kind[] KINDS = Kind.values();

  private static final long[] WHOLES = {
    0,
    1,
    2,
    3,
    5,
    7,
    8,
    16,
    31,
    63,
    64,
    65,
    100,
    127,
    128,
    255,
    256,
    257,
    511,
    512,
    513,
    1024,
    2047,
    2048,
    2049,
    4096,
    65_535,
    65_536,
    1 << 20,
    1 << 24,
    Integer.MAX_VALUE - 1L,
    Integer.MAX_VALUE,
    1L << 31,
    0xFFFF_FF00L,
    0xFFFF_FFFEL,
    0xFFFF_FFFFL,
    1L << 32,
    1L << 40,
    Long.MAX_VALUE,
    Long.MIN_VALUE,
    -1,
    -2,
    -128
  };

  private static final double[] REALS = {
    0,
    -0.0,
    1,
    -1,
    0.5,
    2,
    10,
    -10,
    1e-30,
    1e-45,
    1e30,
    -1e30,
    3.4e38,
    1e-6,
    195,
    10_000,
    1e6,
    Double.NaN,
    Double.POSITIVE_INFINITY,
    Double.NEGATIVE_INFINITY
  };

  private static final String[] TEXTS = {
    "",
    " ",
    "none",
    "linear",
    "yarn",
    "longrope",
    "llama",
    "gpt2",
    "bert",
    "t5",
    "rwkv",
    "plamo2",
    "gemma4",
    "no_vocab",
    "test",
    "whitespace",
    "hybriddna",
    "default",
    "llama-bpe",
    "qwen2",
    "deepseek-llm",
    "tekken",
    "gpt-4o",
    "kimi-k2",
    "%s%s%n",
    "{{",
    "{% for %}",
    "a\0b",
    "ü",
    "x".repeat(5000)
  };

  private static final String[] KEYS = {
    "vocab_size",
    "context_length",
    "embedding_length",
    "embedding_length_out",
    "block_count",
    "leading_dense_block_count",
    "feed_forward_length",
    "expert_feed_forward_length",
    "expert_shared_feed_forward_length",
    "expert_count",
    "expert_used_count",
    "expert_shared_count",
    "expert_group_count",
    "expert_group_used_count",
    "expert_weights_scale",
    "expert_weights_norm",
    "expert_gating_func",
    "moe_every_n_layers",
    "nextn_predict_layers",
    "n_deepstack_layers",
    "deepstack_mapping",
    "pooling_type",
    "logit_scale",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "residual_scale",
    "embedding_scale",
    "interleave_moe_layer_step",
    "full_attention_interval",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.max_alibi_bias",
    "attention.clamp_kqv",
    "attention.key_length",
    "attention.value_length",
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "attention.group_norm_epsilon",
    "attention.group_norm_groups",
    "attention.causal",
    "attention.q_lora_rank",
    "attention.kv_lora_rank",
    "attention.relative_buckets_count",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attention.scale",
    "attention.output_scale",
    "attention.temperature_length",
    "attention.temperature_scale",
    "attention.key_length_mla",
    "attention.value_length_mla",
    "attention.key_length_swa",
    "attention.value_length_swa",
    "attention.shared_kv_layers",
    "attention.recurrent_layers",
    "attention.indexer.head_count",
    "attention.indexer.key_length",
    "attention.indexer.top_k",
    "hyper_connection.count",
    "rope.dimension_count",
    "rope.dimension_count_swa",
    "rope.dimension_sections",
    "rope.freq_base",
    "rope.freq_base_swa",
    "rope.scale_linear",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.alpha",
    "rope.scaling.attn_factor",
    "rope.scaling.original_context_length",
    "rope.scaling.finetuned",
    "rope.scaling.yarn_log_multiplier",
    "rope.scaling.yarn_ext_factor",
    "rope.scaling.yarn_attn_factor",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "ssm.conv_kernel",
    "ssm.inner_size",
    "ssm.state_size",
    "ssm.time_step_rank",
    "ssm.group_count",
    "ssm.dt_b_c_rms",
    "wkv.head_size",
    "token_shift_count",
    "shortconv.l_cache",
    "decoder_start_token_id",
    "decoder_block_count",
    "use_parallel_residual",
    "tensor_data_layout",
    "classifier.output_labels",
    "swin_norm",
    "router_logit_softcapping",
    "adapters.count",
    "num_loops",
    "dense_2_feat_in",
    "dense_2_feat_out",
    "dense_3_feat_in",
    "dense_3_feat_out"
  };

  private static final String[] FULL_KEYS = {
    "general.type",
    "general.file_type",
    "general.quantization_version",
    "general.alignment",
    "general.sampling.top_k",
    "general.sampling.temp",
    "general.sampling.sequence",
    "split.no",
    "split.count",
    "split.tensors.count",
    "tokenizer.ggml.model",
    "tokenizer.ggml.pre",
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.token_type",
    "tokenizer.ggml.token_type_count",
    "tokenizer.ggml.scores",
    "tokenizer.ggml.merges",
    "tokenizer.ggml.bos_token_id",
    "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.eot_token_id",
    "tokenizer.ggml.eom_token_id",
    "tokenizer.ggml.unknown_token_id",
    "tokenizer.ggml.seperator_token_id",
    "tokenizer.ggml.padding_token_id",
    "tokenizer.ggml.cls_token_id",
    "tokenizer.ggml.mask_token_id",
    "tokenizer.ggml.add_bos_token",
    "tokenizer.ggml.add_eos_token",
    "tokenizer.ggml.add_sep_token",
    "tokenizer.ggml.add_space_prefix",
    "tokenizer.ggml.remove_extra_whitespaces",
    "tokenizer.ggml.precompiled_charsmap",
    "tokenizer.chat_template",
    "tokenizer.ggml.fim_pre_token_id",
    "tokenizer.ggml.suppress_tokens",
    "adapter.type",
    "adapter.lora.alpha",
    "adapter.alora.invocation_tokens"
  };

  private static final String[] ARCHITECTURES = {
    "llama",
    "qwen2",
    "qwen3",
    "gemma",
    "gemma2",
    "gemma3",
    "gemma3n",
    "phi2",
    "phi3",
    "falcon",
    "mpt",
    "starcoder",
    "bloom",
    "baichuan",
    "gptneox",
    "gpt2",
    "mamba",
    "mamba2",
    "jamba",
    "rwkv6",
    "rwkv7",
    "bert",
    "nomic-bert",
    "t5",
    "t5encoder",
    "command-r",
    "dbrx",
    "olmo",
    "olmo2",
    "olmoe",
    "deepseek",
    "deepseek2",
    "qwen2moe",
    "qwen3moe",
    "qwen2vl",
    "glm4",
    "chatglm",
    "granite",
    "granitemoe",
    "minicpm",
    "stablelm",
    "orion",
    "internlm2",
    "exaone",
    "smollm3",
    "llama4",
    "mistral3",
    "arcee",
    "deci",
    "clip",
    "wavtokenizer-dec",
    "lfm2",
    "falcon-h1",
    "nemotron_h",
    "gpt-oss",
    "hunyuan-moe",
    "ernie4_5",
    "cohere2",
    "(unknown)",
    "",
    "cogvlm",
    "llama-embed",
    "eagle3",
    "dream",
    "llada",
    "refact",
    "xverse",
    "codeshell",
    "plamo"
  };

  private final byte[] original;
  private final int headerBytes;
  private final Map<String, GgufValue> metadata;
  private final List<GgufTensor> tensors;
  private final List<GgufEncoder.Row> rows;

  /** Reads the file to damage. */
  public GgufMutator(Path file) {
    try {
      this.original = Files.readAllBytes(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    GgufFile gguf = GgufFile.open(file);
    this.headerBytes = Math.toIntExact(gguf.parts().getFirst().dataOffset());
    this.metadata = gguf.metadata();
    this.tensors = gguf.tensors();
    this.rows =
        tensors.stream()
            .map(
                tensor ->
                    new GgufEncoder.Row(
                        tensor.name(),
                        tensor.dimensions(),
                        tensor.type().code(),
                        tensor.fileOffset() - headerBytes))
            .toList();
  }

  /** Returns the damage that belongs to this seed, of any kind. */
  public Mutation mutate(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    return mutate(KINDS[random.nextInt(KINDS.length)], random);
  }

  /** Returns the damage of one kind that belongs to this seed. */
  public Mutation mutate(Kind kind, long seed) {
    return mutate(kind, new SplittableRandom(seed));
  }

  private Mutation mutate(Kind kind, SplittableRandom random) {
    Mutation mutation =
        switch (kind) {
          case BIT_FLIP -> bitFlips(random);
          case BYTE_RUN -> byteRun(random);
          case TRUNCATION -> truncation(random);
          case HEADER_INTEGER -> headerInteger(random);
          case VALUE -> value(random, false);
          case TYPE_SWAP -> value(random, true);
          case KEY_ADDED -> keyAdded(random);
          case KEY_REMOVED -> keyRemoved(random);
          case ARRAY -> array(random);
          case TENSOR -> tensor(random);
          case ARCHITECTURE -> architecture(random);
          case WEIGHTS -> weights(random);
        };
    return new Mutation(kind + " " + mutation.description(), mutation.bytes());
  }

  private int place(SplittableRandom random) {
    // Most of a file is weights, and most of the rest is the vocabulary: aim at all three.
    return switch (random.nextInt(4)) {
      case 0 -> random.nextInt(original.length);
      case 1 -> random.nextInt(Math.min(4096, headerBytes));
      default -> random.nextInt(headerBytes);
    };
  }

  private Mutation bitFlips(SplittableRandom random) {
    byte[] bytes = original.clone();
    int count = 1 + random.nextInt(8);
    StringBuilder what = new StringBuilder();
    for (int i = 0; i < count; i++) {
      int at = place(random);
      bytes[at] ^= (byte) (1 << random.nextInt(8));
      what.append(' ').append(at);
    }
    return new Mutation("at" + what, bytes);
  }

  private Mutation byteRun(SplittableRandom random) {
    byte[] bytes = original.clone();
    int at = place(random);
    int length = Math.min(1 + random.nextInt(64), bytes.length - at);
    switch (random.nextInt(3)) {
      case 0 -> Arrays.fill(bytes, at, at + length, (byte) 0);
      case 1 -> Arrays.fill(bytes, at, at + length, (byte) 0xFF);
      default -> {
        byte[] noise = new byte[length];
        random.nextBytes(noise);
        System.arraycopy(noise, 0, bytes, at, length);
      }
    }
    return new Mutation("of " + length + " at " + at, bytes);
  }

  private Mutation truncation(SplittableRandom random) {
    int length = random.nextBoolean() ? place(random) : original.length - 1 - random.nextInt(64);
    return new Mutation("to " + length, Arrays.copyOf(original, length));
  }

  private Mutation headerInteger(SplittableRandom random) {
    byte[] bytes = original.clone();
    int limit = random.nextBoolean() ? headerBytes : Math.min(2048, headerBytes);
    int at = random.nextInt(limit - 8) & (random.nextBoolean() ? -4 : -1);
    long value = WHOLES[random.nextInt(WHOLES.length)];
    MemorySegment view = MemorySegment.ofArray(bytes);
    if (random.nextBoolean()) {
      view.set(GgufArray.INT, at, (int) value);
    } else {
      view.set(GgufArray.LONG, at, value);
    }
    return new Mutation(value + " at " + at, bytes);
  }

  private Mutation value(SplittableRandom random, boolean anotherType) {
    Map<String, GgufValue> changed = new LinkedHashMap<>(metadata);
    int count = 1 + random.nextInt(3);
    StringBuilder what = new StringBuilder();
    List<String> keys = List.copyOf(metadata.keySet());
    for (int i = 0; i < count; i++) {
      String key = keys.get(random.nextInt(keys.size()));
      GgufValue value = metadata.get(key);
      GgufType type = anotherType ? anyType(random) : value.type();
      if (type == GgufType.ARRAY) {
        type = GgufType.UINT32;
      }
      GgufValue replacement = interesting(type, random);
      changed.put(key, replacement);
      what.append(' ').append(key).append('=').append(shown(replacement));
    }
    return new Mutation(what.toString(), encode(changed, rows));
  }

  private Mutation keyAdded(SplittableRandom random) {
    Map<String, GgufValue> changed = new LinkedHashMap<>(metadata);
    StringBuilder what = new StringBuilder();
    int count = 1 + random.nextInt(3);
    for (int i = 0; i < count; i++) {
      String key =
          random.nextInt(4) == 0
              ? FULL_KEYS[random.nextInt(FULL_KEYS.length)]
              : prefix() + KEYS[random.nextInt(KEYS.length)];
      GgufValue value =
          switch (random.nextInt(8)) {
            case 0, 1, 2 -> interesting(GgufType.UINT32, random);
            case 3 -> interesting(GgufType.FLOAT32, random);
            case 4 -> interesting(GgufType.BOOL, random);
            case 5 -> interesting(GgufType.STRING, random);
            case 6 -> arrayOfLayers(random);
            default -> interesting(anyType(random), random);
          };
      changed.put(key, value);
      what.append(' ').append(key).append('=').append(shown(value));
    }
    return new Mutation(what.toString(), encode(changed, rows));
  }

  private Mutation keyRemoved(SplittableRandom random) {
    Map<String, GgufValue> changed = new LinkedHashMap<>(metadata);
    List<String> keys = new ArrayList<>(metadata.keySet());
    String key = keys.get(random.nextInt(keys.size()));
    changed.remove(key);
    return new Mutation(key, encode(changed, rows));
  }

  private Mutation array(SplittableRandom random) {
    List<String> keys =
        metadata.entrySet().stream()
            .filter(entry -> entry.getValue() instanceof GgufArray)
            .map(Map.Entry::getKey)
            .toList();
    if (keys.isEmpty()) {
      return keyAdded(random);
    }
    String key = keys.get(random.nextInt(keys.size()));
    GgufArray array = (GgufArray) metadata.get(key);
    List<GgufValue> values = new ArrayList<>();
    for (int i = 0; i < array.size(); i++) {
      values.add(array.get(i));
    }
    String what;
    switch (random.nextInt(4)) {
      case 0 -> {
        int size = random.nextInt(values.size() + 1);
        values = values.subList(0, size);
        what = "cut to " + size;
      }
      case 1 -> {
        int more = 1 + random.nextInt(100);
        for (int i = 0; i < more; i++) {
          values.add(interesting(array.elementType(), random));
        }
        what = "with " + more + " more";
      }
      case 2 -> {
        Collections.shuffle(values, new java.util.Random(random.nextLong()));
        what = "shuffled";
      }
      default -> {
        int count = 1 + random.nextInt(20);
        for (int i = 0; i < count && !values.isEmpty(); i++) {
          values.set(
              random.nextInt(values.size()),
              random.nextBoolean()
                  ? values.get(random.nextInt(values.size()))
                  : interesting(array.elementType(), random));
        }
        what = "with " + count + " others";
      }
    }
    Map<String, GgufValue> changed = new LinkedHashMap<>(metadata);
    changed.put(key, arrayOf(array.elementType(), values));
    return new Mutation(key + " " + what, encode(changed, rows));
  }

  private Mutation tensor(SplittableRandom random) {
    if (rows.isEmpty()) {
      return value(random, false);
    }
    List<GgufEncoder.Row> changed = new ArrayList<>(rows);
    int index = random.nextInt(changed.size());
    GgufEncoder.Row row = changed.get(index);
    GgufEncoder.Row other = changed.get(random.nextInt(changed.size()));
    List<Long> shape = new ArrayList<>(row.dimensions());
    String what;
    switch (random.nextInt(7)) {
      case 0 -> {
        GgmlType type = sameSize(tensors.get(index), random);
        changed.set(index, new GgufEncoder.Row(row.name(), shape, type.code(), row.offset()));
        what = "type " + type;
      }
      case 1 -> {
        Collections.reverse(shape);
        changed.set(index, new GgufEncoder.Row(row.name(), shape, row.typeCode(), row.offset()));
        what = "transposed";
      }
      case 2 -> {
        shape.add(random.nextInt(shape.size() + 1), 1L);
        changed.set(index, new GgufEncoder.Row(row.name(), shape, row.typeCode(), row.offset()));
        what = "with another dimension";
      }
      case 3 -> {
        shape.set(random.nextInt(shape.size()), WHOLES[random.nextInt(WHOLES.length)]);
        changed.set(index, new GgufEncoder.Row(row.name(), shape, row.typeCode(), row.offset()));
        what = "shape " + shape;
      }
      case 4 -> {
        changed.set(
            index,
            new GgufEncoder.Row(
                row.name().replaceFirst("\\d+|norm|attn|weight", "x"),
                shape,
                row.typeCode(),
                row.offset()));
        what = "renamed";
      }
      case 5 -> {
        changed.set(index, new GgufEncoder.Row(other.name(), shape, row.typeCode(), row.offset()));
        changed.set(
            rows.indexOf(other),
            new GgufEncoder.Row(row.name(), other.dimensions(), other.typeCode(), other.offset()));
        what = "named " + other.name() + " and the reverse";
      }
      default -> {
        changed.remove(index);
        what = "removed";
      }
    }
    return new Mutation(row.name() + " " + what, encode(metadata, changed));
  }

  private Mutation architecture(SplittableRandom random) {
    String name = ARCHITECTURES[random.nextInt(ARCHITECTURES.length)];
    Map<String, GgufValue> changed = new LinkedHashMap<>();
    String prefix = prefix();
    metadata.forEach(
        (key, value) ->
            changed.put(
                key.startsWith(prefix) ? name + "." + key.substring(prefix.length()) : key, value));
    changed.put("general.architecture", GgufValue.text(name));
    // Most architectures ask for one of these.
    changed.putIfAbsent(name + ".attention.layer_norm_epsilon", GgufValue.float32(1e-5f));
    changed.putIfAbsent(name + ".attention.layer_norm_rms_epsilon", GgufValue.float32(1e-5f));
    changed.putIfAbsent(name + ".logit_scale", GgufValue.float32(1));
    changed.putIfAbsent(name + ".attention.sliding_window", GgufValue.uint32(32));
    return new Mutation(name, encode(changed, rows));
  }

  private Mutation weights(SplittableRandom random) {
    if (rows.isEmpty()) {
      return array(random);
    }
    byte[] bytes = original.clone();
    int count = 1 + random.nextInt(64);
    for (int i = 0; i < count; i++) {
      int at = headerBytes + random.nextInt(bytes.length - headerBytes - 4);
      // Exponents of all ones: infinities and NaN in every float type.
      bytes[at] = (byte) 0xFF;
      bytes[at + 1] = (byte) (random.nextBoolean() ? 0xFF : 0x7C);
    }
    return new Mutation(count + " places", bytes);
  }

  private String prefix() {
    return metadata.get("general.architecture") + ".";
  }

  private static GgufType anyType(SplittableRandom random) {
    GgufType[] types = GgufType.values();
    return types[random.nextInt(types.length)];
  }

  private GgufValue arrayOfLayers(SplittableRandom random) {
    int layers =
        metadata.get(prefix() + "block_count") instanceof GgufValue.Whole count
            ? Math.toIntExact(count.value())
            : 2;
    GgufType type =
        switch (random.nextInt(4)) {
          case 0 -> GgufType.INT32;
          case 1 -> GgufType.UINT32;
          case 2 -> GgufType.FLOAT32;
          default -> GgufType.BOOL;
        };
    List<GgufValue> values = new ArrayList<>();
    for (int i = 0; i < layers; i++) {
      values.add(interesting(type, random));
    }
    return arrayOf(type, values);
  }

  private static GgufValue interesting(GgufType type, SplittableRandom random) {
    return switch (type) {
      case FLOAT32 -> GgufValue.float32((float) REALS[random.nextInt(REALS.length)]);
      case FLOAT64 -> new GgufValue.Real(type, REALS[random.nextInt(REALS.length)]);
      case BOOL -> GgufValue.bool(random.nextBoolean());
      case STRING -> GgufValue.text(TEXTS[random.nextInt(TEXTS.length)]);
      case ARRAY -> {
        GgufType element = random.nextBoolean() ? GgufType.INT32 : GgufType.STRING;
        List<GgufValue> values = new ArrayList<>();
        int size = random.nextInt(6);
        for (int i = 0; i < size; i++) {
          values.add(interesting(element, random));
        }
        yield arrayOf(element, values);
      }
      default -> new GgufValue.Whole(type, fit(type, WHOLES[random.nextInt(WHOLES.length)]));
    };
  }

  private static long fit(GgufType type, long value) {
    return switch (type) {
      case UINT8 -> value & 0xFF;
      case INT8 -> (byte) value;
      case UINT16 -> value & 0xFFFF;
      case INT16 -> (short) value;
      case UINT32 -> value & 0xFFFF_FFFFL;
      case INT32 -> (int) value;
      default -> value;
    };
  }

  private static GgufArray arrayOf(GgufType type, List<GgufValue> values) {
    return switch (type) {
      case STRING ->
          GgufArray.texts(values.stream().map(value -> ((GgufValue.Text) value).value()).toList());
      case FLOAT32 -> {
        float[] reals = new float[values.size()];
        for (int i = 0; i < reals.length; i++) {
          reals[i] = (float) ((GgufValue.Real) values.get(i)).value();
        }
        yield GgufArray.floats(reals);
      }
      case BOOL -> {
        boolean[] truths = new boolean[values.size()];
        for (int i = 0; i < truths.length; i++) {
          truths[i] = ((GgufValue.Bool) values.get(i)).value();
        }
        yield GgufArray.bools(truths);
      }
      default ->
          GgufArray.wholes(
              type,
              values.stream().mapToLong(value -> ((GgufValue.Whole) value).value()).toArray());
    };
  }

  private static GgmlType sameSize(GgufTensor tensor, SplittableRandom random) {
    List<GgmlType> candidates = new ArrayList<>();
    for (GgmlType type : GgmlType.values()) {
      if (tensor.dimension(0) % type.blockElements() == 0
          && type.bytes(tensor.elements()) <= tensor.bytes()) {
        candidates.add(type);
      }
    }
    return candidates.get(random.nextInt(candidates.size()));
  }

  private static String shown(GgufValue value) {
    String text = value.toString();
    return text.length() > 40 ? text.substring(0, 40) + "..." : text;
  }

  /** Writes the file again; the tensors' data is packed anew, for native code insists on it. */
  private byte[] encode(Map<String, GgufValue> values, List<GgufEncoder.Row> table) {
    ByteArrayOutputStream data = new ByteArrayOutputStream(original.length);
    List<GgufEncoder.Row> packed = new ArrayList<>();
    for (GgufEncoder.Row row : table) {
      packed.add(new GgufEncoder.Row(row.name(), row.dimensions(), row.typeCode(), data.size()));
      int bytes = Math.toIntExact(bytesOf(row));
      int from = Math.toIntExact(headerBytes + row.offset());
      int there = Math.min(bytes, original.length - from);
      data.write(original, from, there);
      data.writeBytes(new byte[bytes - there]);
      pad(data);
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream(original.length);
    out.writeBytes(GgufEncoder.header(List.copyOf(values.entrySet()), packed));
    pad(out);
    out.writeBytes(data.toByteArray());
    return out.toByteArray();
  }

  private static void pad(ByteArrayOutputStream out) {
    while (out.size() % GgufParser.DEFAULT_ALIGNMENT != 0) {
      out.write(0);
    }
  }

  private long bytesOf(GgufEncoder.Row row) {
    GgmlType type = GgmlType.ofCode(row.typeCode());
    long elements = 1;
    for (long size : row.dimensions()) {
      if (size <= 0 || size > original.length) {
        return 32;
      }
      elements *= size;
    }
    if (type == null || elements > 4L * original.length || elements % type.blockElements() != 0) {
      return 32;
    }
    return type.bytes(elements);
  }
}
