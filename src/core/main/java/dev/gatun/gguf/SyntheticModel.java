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
 * small.
 *
 * <pre>{@code
 * SyntheticModel.write(SyntheticModel.Shape.named("qwen2-0.5b-q4_0"), tiny, target, 1);
 * }</pre>
 */
public final class SyntheticModel {
  private static final float NORM_EPSILON = 1e-6f;
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
    /**
     * Multi-head latent attention: keys and values stand compressed in one row. The first layer has
     * one feed-forward part, the others several, of which one is used for every token.
     */
    DEEPSEEK2("deepseek2"),
    /** Recurrent layers only. */
    MAMBA("mamba"),
    /** Recurrent layers only, whose heads share their inputs in groups. */
    MAMBA2("mamba2"),
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

    /** Tells whether it has attention heads and a feed-forward part. */
    public boolean hasAttention() {
      return this != MAMBA && this != MAMBA2;
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

    public Shape {
      Objects.requireNonNull(name, "name");
      Objects.requireNonNull(family, "family");
      boolean attention = family.hasAttention();
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
      return KnownShapes.all().stream()
          .filter(shape -> shape.name.equals(name))
          .findFirst()
          .orElseThrow(
              () ->
                  new IllegalArgumentException(
                      "there is no shape '" + name + "'; there are " + String.join(", ", names())));
    }

    /** Returns the names of the built-in shapes. */
    public static List<String> names() {
      return KnownShapes.all().stream().map(Shape::name).toList();
    }

    int headSize() {
      return heads == 0 ? 0 : width / heads;
    }

    int kvWidth() {
      return headSize() * kvHeads;
    }

    boolean recurrent(int layer) {
      return switch (family) {
        case MAMBA, MAMBA2 -> true;
        case JAMBA -> layer % 2 == 0;
        default -> false;
      };
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
    SyntheticTensors.add(shape, seed, model.writer);
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
      boolean compressed = shape.family() == Family.DEEPSEEK2; // one row for all heads
      number("attention.head_count_kv", compressed ? 1 : shape.kvHeads());
    }
    put("attention.layer_norm_rms_epsilon", GgufValue.float32(NORM_EPSILON));
    switch (shape.family()) {
      case LLAMA -> rope(10_000);
      case LLAMA_MOE -> {
        rope(10_000);
        number("expert_count", SyntheticTensors.EXPERTS);
        number("expert_used_count", USED_EXPERTS);
      }
      case QWEN2 -> rope(1_000_000);
      case GEMMA3 -> {
        rope(1_000_000);
        number("attention.key_length", shape.headSize());
        number("attention.value_length", shape.headSize());
        number("attention.sliding_window", Math.max(16, shape.contextTokens() / 32));
      }
      case DEEPSEEK2 -> compressedAttention();
      case MAMBA, MAMBA2, JAMBA -> {
        number("ssm.conv_kernel", SyntheticTensors.CONVOLUTION);
        number("ssm.inner_size", SyntheticTensors.inner(shape));
        number("ssm.state_size", SyntheticTensors.STATE_SIZE);
        number("ssm.time_step_rank", SyntheticTensors.timeStepRank(shape));
        if (shape.family() == Family.MAMBA2) {
          number("ssm.group_count", SyntheticTensors.GROUPS);
        }
      }
    }
  }

  /** A cell holds what every head's key and value are computed from, and one rotated part. */
  private void compressedAttention() {
    put("rope.freq_base", GgufValue.float32(10_000));
    int rank = SyntheticTensors.rank(shape);
    int rotated = SyntheticTensors.rotated(shape);
    number("rope.dimension_count", rotated);
    number("attention.q_lora_rank", rank);
    number("attention.kv_lora_rank", rank);
    number("attention.key_length", rank + rotated);
    number("attention.value_length", rank);
    number("attention.key_length_mla", 2 * rotated);
    number("attention.value_length_mla", rotated);
    number("leading_dense_block_count", 1);
    number("expert_count", SyntheticTensors.EXPERTS);
    number("expert_used_count", USED_EXPERTS);
    number("expert_shared_count", 1);
    number("expert_feed_forward_length", shape.feedForward() / 2);
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
}
