package dev.gatun.gguf;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Random-weight model files of real shapes, for tests and benchmarks with no download.
 *
 * <p>Such a model runs at the speed of a trained one of the same shape and says nothing sensible.
 * Its tokenizer is copied from another model and filled up with unused tokens. The same shape,
 * source and seed give the same bytes. Weights are made while they are written, so the heap stays
 * small. One class although it is long: a shape, its metadata and its tensors must agree line by
 * line.
 *
 * <pre>{@code
 * SyntheticModel.write(SyntheticModel.Shape.named("qwen2-0.5b-q4_0"), tiny, target, 1);
 * }</pre>
 */
public final class SyntheticModel {
  private static final float NORM_EPSILON = 1e-6f;
  private static final double EMBEDDING_DEVIATION = 0.06;
  private static final double BIAS_DEVIATION = 0.1;
  private static final int STATE_SIZE = 16;
  private static final int CONVOLUTION = 4;
  private static final int EXPERTS = 4;
  private static final int USED_EXPERTS = 2;
  private static final int UNUSED_TOKEN = 5;
  private static final float UNUSED_SCORE = -1e4f;

  private final Shape shape;
  private final long seed;
  private final GgufWriter writer = new GgufWriter();

  private SyntheticModel(Shape shape, long seed) {
    this.shape = shape;
    this.seed = seed;
  }

  /** How a model is built; it decides the names and the kinds of the tensors. */
  public enum Family {
    /** Attention with rotated heads and a gated feed-forward part. */
    LLAMA("llama"),
    /** {@link #LLAMA} with several feed-forward parts, two of which are used for a token. */
    LLAMA_MOE("llama"),
    /** {@link #LLAMA} with biases on queries, keys and values. */
    QWEN2("qwen2"),
    /** Five sliding-window layers, then one with full attention; normalised queries and keys. */
    GEMMA3("gemma3"),
    /** Recurrent layers only. */
    MAMBA("mamba"),
    /** Recurrent layers and attention layers in turn. */
    JAMBA("jamba");

    private final String architecture;

    Family(String architecture) {
      this.architecture = architecture;
    }

    /** Returns the value of {@code general.architecture}. */
    public String architecture() {
      return architecture;
    }
  }

  /**
   * The sizes of a model.
   *
   * @param name the shape's name, written as {@code general.name}
   * @param family how it is built
   * @param layers number of layers
   * @param width elements of an embedding
   * @param heads number of query heads
   * @param kvHeads number of key-value heads; divides {@code heads}
   * @param feedForward width of the feed-forward part
   * @param vocabulary number of tokens
   * @param contextTokens the trained length it states
   * @param tied whether the token embedding is the output matrix as well
   * @param matrices element type of the matrices
   * @param embedding element type of the token embedding and of the output matrix
   */
  public record Shape(
      String name,
      Family family,
      int layers,
      int width,
      int heads,
      int kvHeads,
      int feedForward,
      int vocabulary,
      int contextTokens,
      boolean tied,
      GgmlType matrices,
      GgmlType embedding) {

    private static final List<Shape> KNOWN =
        List.of(
            new Shape(
                "qwen2-0.5b-q4_0",
                Family.QWEN2,
                24,
                896,
                14,
                2,
                4864,
                151_936,
                32_768,
                true,
                GgmlType.Q4_0,
                GgmlType.Q8_0),
            new Shape(
                "llama-0.5b-q4_0",
                Family.LLAMA,
                28,
                1024,
                16,
                8,
                4096,
                32_000,
                4096,
                false,
                GgmlType.Q4_0,
                GgmlType.Q8_0),
            new Shape(
                "vocab32k-tiny",
                Family.LLAMA,
                1,
                64,
                2,
                1,
                128,
                32_000,
                2048,
                true,
                GgmlType.F16,
                GgmlType.F16),
            new Shape(
                "qwen2-tiny",
                Family.QWEN2,
                4,
                128,
                4,
                2,
                256,
                2048,
                2048,
                true,
                GgmlType.F16,
                GgmlType.F16),
            new Shape(
                "gemma3-tiny",
                Family.GEMMA3,
                6,
                128,
                4,
                1,
                256,
                2048,
                2048,
                true,
                GgmlType.F16,
                GgmlType.F16),
            new Shape(
                "mamba-tiny",
                Family.MAMBA,
                3,
                128,
                0,
                0,
                0,
                2048,
                2048,
                true,
                GgmlType.F16,
                GgmlType.F16),
            new Shape(
                "jamba-tiny",
                Family.JAMBA,
                4,
                128,
                4,
                2,
                256,
                2048,
                2048,
                true,
                GgmlType.F16,
                GgmlType.F16),
            new Shape(
                "llama-moe-tiny",
                Family.LLAMA_MOE,
                3,
                128,
                4,
                2,
                128,
                2048,
                2048,
                true,
                GgmlType.F16,
                GgmlType.F16));

    public Shape {
      Objects.requireNonNull(name, "name");
      Objects.requireNonNull(family, "family");
      boolean attention = family != Family.MAMBA;
      if (layers < 1 || layers > 512 || width < 1 || vocabulary < 1 || contextTokens < 1) {
        throw new IllegalArgumentException(
            "layers (at most 512), width, vocabulary and contextTokens must be positive");
      }
      if (attention && (heads < 1 || kvHeads < 1 || feedForward < 1)) {
        throw new IllegalArgumentException("heads, kvHeads and feedForward must be positive");
      }
      if (attention && (width % (2 * heads) != 0 || heads % kvHeads != 0)) {
        throw new IllegalArgumentException(
            "width must be an even multiple of heads, and heads a multiple of kvHeads");
      }
      for (GgmlType type : new GgmlType[] {matrices, embedding}) {
        RandomWeights.requireSupported(type);
        if (width % type.blockElements() != 0 || feedForward % type.blockElements() != 0) {
          throw new IllegalArgumentException(
              "width and feedForward must be multiples of the block of "
                  + type.blockElements()
                  + " elements of "
                  + type);
        }
      }
    }

    /**
     * Returns a shape by its name.
     *
     * @param name one of {@link #names}
     * @throws IllegalArgumentException if there is none; the message lists the names
     */
    public static Shape named(String name) {
      return KNOWN.stream()
          .filter(shape -> shape.name.equals(name))
          .findFirst()
          .orElseThrow(
              () ->
                  new IllegalArgumentException(
                      "there is no shape '" + name + "'; there are " + String.join(", ", names())));
    }

    /** Returns the names of the built-in shapes. */
    public static List<String> names() {
      return KNOWN.stream().map(Shape::name).toList();
    }

    int headSize() {
      return heads == 0 ? 0 : width / heads;
    }

    int kvWidth() {
      return headSize() * kvHeads;
    }

    boolean recurrent(int layer) {
      return family == Family.MAMBA || (family == Family.JAMBA && layer % 2 == 0);
    }
  }

  /**
   * Writes a model file. A file of that name is replaced in one step when the new one is complete.
   *
   * @param shape its sizes
   * @param tokenizerFrom a model whose tokenizer and chat template are copied; its vocabulary may
   *     not be larger than the shape's
   * @param target where to
   * @param seed of the random weights
   * @throws dev.gatun.error.GgufFormatException if {@code tokenizerFrom} cannot be read
   * @throws IllegalArgumentException if its vocabulary is larger than the shape's
   * @throws java.io.UncheckedIOException if writing fails
   */
  public static void write(Shape shape, Path tokenizerFrom, Path target, long seed) {
    SyntheticModel model = new SyntheticModel(shape, seed);
    model.hyperparameters();
    model.tokenizer(GgufFile.open(tokenizerFrom));
    model.tensors();
    model.writer.write(target);
  }

  private void hyperparameters() {
    writer.put("general.architecture", GgufValue.text(shape.family().architecture()));
    writer.put("general.name", GgufValue.text(shape.name()));
    writer.put(
        "general.description",
        GgufValue.text("Random weights of a real shape, seed " + seed + "."));
    writer.put("general.file_type", GgufValue.uint32(fileType(shape.matrices())));
    number("context_length", shape.contextTokens());
    number("embedding_length", shape.width());
    number("block_count", shape.layers());
    number("feed_forward_length", shape.feedForward());
    number("vocab_size", shape.vocabulary());
    number("attention.head_count", shape.heads());
    if (shape.family() == Family.JAMBA) {
      int[] kvHeads = new int[shape.layers()];
      for (int i = 0; i < kvHeads.length; i++) {
        kvHeads[i] = shape.recurrent(i) ? 0 : shape.kvHeads();
      }
      put("attention.head_count_kv", GgufArray.ints(kvHeads));
    } else {
      number("attention.head_count_kv", shape.kvHeads());
    }
    put("attention.layer_norm_rms_epsilon", GgufValue.float32(NORM_EPSILON));
    switch (shape.family()) {
      case LLAMA -> rope(10_000);
      case LLAMA_MOE -> {
        rope(10_000);
        number("expert_count", EXPERTS);
        number("expert_used_count", USED_EXPERTS);
      }
      case QWEN2 -> rope(1_000_000);
      case GEMMA3 -> {
        rope(1_000_000);
        number("attention.key_length", shape.headSize());
        number("attention.value_length", shape.headSize());
        number("attention.sliding_window", Math.max(16, shape.contextTokens() / 32));
      }
      case MAMBA, JAMBA -> {
        number("ssm.conv_kernel", CONVOLUTION);
        number("ssm.inner_size", inner());
        number("ssm.state_size", STATE_SIZE);
        number("ssm.time_step_rank", timeStepRank());
      }
    }
  }

  /** The codes of upstream's {@code enum llama_ftype}. */
  private static int fileType(GgmlType type) {
    return switch (type) {
      case F16 -> 1;
      case Q4_0 -> 2;
      case Q8_0 -> 7;
      case BF16 -> 32;
      default -> 0;
    };
  }

  private void rope(float base) {
    number("rope.dimension_count", shape.headSize());
    put("rope.freq_base", GgufValue.float32(base));
  }

  private void number(String key, long value) {
    put(key, GgufValue.uint32(value));
  }

  private void put(String key, GgufValue value) {
    writer.put(shape.family().architecture() + "." + key, value);
  }

  private void tokenizer(GgufFile source) {
    int size = source.model().vocabularySize().orElse(0);
    if (size == 0 || size > shape.vocabulary()) {
      throw new IllegalArgumentException(
          source.path()
              + " has a vocabulary of "
              + size
              + " tokens, but shape "
              + shape.name()
              + " has room for 1 to "
              + shape.vocabulary());
    }
    for (Map.Entry<String, GgufValue> entry : source.metadata().entrySet()) {
      String key = entry.getKey();
      if (key.startsWith("tokenizer.")) {
        writer.put(
            key,
            switch (key) {
              case "tokenizer.ggml.tokens" -> paddedTexts((GgufArray) entry.getValue());
              case "tokenizer.ggml.scores" -> paddedScores((GgufArray) entry.getValue());
              case "tokenizer.ggml.token_type" -> paddedTypes((GgufArray) entry.getValue());
              default -> entry.getValue();
            });
      }
    }
  }

  private GgufArray paddedTexts(GgufArray source) {
    List<String> texts = new ArrayList<>(shape.vocabulary());
    for (int i = 0; i < shape.vocabulary(); i++) {
      texts.add(i < source.size() ? source.text(i) : "<unused_" + i + ">");
    }
    return GgufArray.texts(texts);
  }

  private GgufArray paddedScores(GgufArray source) {
    float[] scores = new float[shape.vocabulary()];
    Arrays.fill(scores, UNUSED_SCORE);
    for (int i = 0; i < source.size(); i++) {
      scores[i] = (float) source.real(i);
    }
    return GgufArray.floats(scores);
  }

  private GgufArray paddedTypes(GgufArray source) {
    int[] types = new int[shape.vocabulary()];
    Arrays.fill(types, UNUSED_TOKEN);
    for (int i = 0; i < source.size(); i++) {
      types[i] = (int) source.whole(i);
    }
    return GgufArray.ints(types);
  }

  private void tensors() {
    long width = shape.width();
    long vocabulary = shape.vocabulary();
    random("token_embd.weight", shape.embedding(), EMBEDDING_DEVIATION, width, vocabulary);
    constant("output_norm.weight", 1, width);
    if (!shape.tied()) {
      random("output.weight", shape.embedding(), EMBEDDING_DEVIATION, width, vocabulary);
    }
    for (int i = 0; i < shape.layers(); i++) {
      String layer = "blk." + i + ".";
      constant(layer + "attn_norm.weight", 1, width);
      if (shape.recurrent(i)) {
        recurrentLayer(layer);
      } else {
        attentionLayer(layer);
      }
      if (shape.family() != Family.MAMBA) {
        feedForward(layer);
      }
    }
  }

  private void attentionLayer(String layer) {
    long width = shape.width();
    long kvWidth = shape.kvWidth();
    matrix(layer + "attn_q.weight", width, width);
    matrix(layer + "attn_k.weight", width, kvWidth);
    matrix(layer + "attn_v.weight", width, kvWidth);
    matrix(layer + "attn_output.weight", width, width);
    if (shape.family() == Family.QWEN2) {
      random(layer + "attn_q.bias", GgmlType.F32, BIAS_DEVIATION, width);
      random(layer + "attn_k.bias", GgmlType.F32, BIAS_DEVIATION, kvWidth);
      random(layer + "attn_v.bias", GgmlType.F32, BIAS_DEVIATION, kvWidth);
    }
    if (shape.family() == Family.GEMMA3) {
      constant(layer + "attn_q_norm.weight", 1, shape.headSize());
      constant(layer + "attn_k_norm.weight", 1, shape.headSize());
      constant(layer + "post_attention_norm.weight", 1, width);
      constant(layer + "post_ffw_norm.weight", 1, width);
    }
  }

  private void feedForward(String layer) {
    long width = shape.width();
    long inner = shape.feedForward();
    constant(layer + "ffn_norm.weight", 1, width);
    if (shape.family() == Family.LLAMA_MOE) {
      long experts = EXPERTS;
      random(layer + "ffn_gate_inp.weight", GgmlType.F32, 1 / Math.sqrt(width), width, experts);
      matrix(layer + "ffn_gate_exps.weight", width, inner, experts);
      matrix(layer + "ffn_up_exps.weight", width, inner, experts);
      matrix(layer + "ffn_down_exps.weight", inner, width, experts);
    } else {
      matrix(layer + "ffn_gate.weight", width, inner);
      matrix(layer + "ffn_up.weight", width, inner);
      matrix(layer + "ffn_down.weight", inner, width);
    }
  }

  private void recurrentLayer(String layer) {
    long width = shape.width();
    long inner = inner();
    long rank = timeStepRank();
    matrix(layer + "ssm_in.weight", width, 2 * inner);
    random(layer + "ssm_conv1d.weight", GgmlType.F32, 0.5, CONVOLUTION, inner);
    random(layer + "ssm_conv1d.bias", GgmlType.F32, BIAS_DEVIATION, inner);
    random(
        layer + "ssm_x.weight", GgmlType.F16, 1 / Math.sqrt(inner), inner, rank + 2 * STATE_SIZE);
    random(layer + "ssm_dt.weight", GgmlType.F16, 1 / Math.sqrt(rank), rank, inner);
    constant(layer + "ssm_dt.bias", -2, inner);
    // The decay of each state element: minus its rank, as in a trained model's start.
    tensor(
        layer + "ssm_a",
        GgmlType.F32,
        RandomWeights.ramp(-1, -1, STATE_SIZE, inner),
        STATE_SIZE,
        inner);
    constant(layer + "ssm_d", 1, inner);
    matrix(layer + "ssm_out.weight", inner, width);
    if (shape.family() == Family.JAMBA) {
      constant(layer + "ssm_dt_norm.weight", 1, rank);
      constant(layer + "ssm_b_norm.weight", 1, STATE_SIZE);
      constant(layer + "ssm_c_norm.weight", 1, STATE_SIZE);
    }
  }

  private long inner() {
    return 2L * shape.width();
  }

  private long timeStepRank() {
    return Math.max(1, shape.width() / 16);
  }

  private void matrix(String name, long... dimensions) {
    random(name, shape.matrices(), 1 / Math.sqrt(dimensions[0]), dimensions);
  }

  private void random(String name, GgmlType type, double deviation, long... dimensions) {
    long elements = Arrays.stream(dimensions).reduce(1, Math::multiplyExact);
    long tensorSeed = seed * 31 + name.hashCode();
    tensor(name, type, RandomWeights.of(type, elements, deviation, tensorSeed), dimensions);
  }

  private void constant(String name, float value, long size) {
    tensor(name, GgmlType.F32, RandomWeights.ramp(value, 0, size, 1), size);
  }

  private void tensor(String name, GgmlType type, GgufWriter.TensorData data, long... dimensions) {
    writer.tensor(name, type, Arrays.stream(dimensions).boxed().toList(), data);
  }
}
