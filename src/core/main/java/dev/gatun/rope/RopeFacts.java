package dev.gatun.rope;

import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.gguf.GgufArray;
import dev.gatun.gguf.GgufFile;
import dev.gatun.gguf.GgufValue;
import dev.gatun.gguf.ModelMetadata;
import dev.gatun.gguf.RopeMetadata;
import java.util.EnumSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What must be known of a model to choose a position scaling for it and to refuse one that cannot
 * work. Immutable; any thread.
 *
 * @param architecture name of the architecture, such as {@code llama}
 * @param dimensions how many elements of a head are rotated; 0 when the file does not say
 * @param base frequency base
 * @param trainedTokens length in tokens that the model can do as the file is; 0 when it is not
 *     stated or not limited
 * @param scalingType the file's own scaling: {@code none}, {@code linear}, {@code yarn}, {@code
 *     longrope}
 * @param scalingFactor by how much the file says the trained length was stretched; 1 is not
 * @param originalTokens the length in tokens before the file's own scaling; 0 when it is not stated
 * @param betaFast the file's border of NTK-by-parts in rotations, else the paper's
 * @param betaSlow the file's other border
 * @param traits what else bears on scaling
 */
public record RopeFacts(
    String architecture,
    int dimensions,
    double base,
    int trainedTokens,
    String scalingType,
    double scalingFactor,
    int originalTokens,
    double betaFast,
    double betaSlow,
    Set<Trait> traits) {
  /** What bears on scaling. */
  public enum Trait {
    /** Positions are not rotated at all: learned, ALiBi, relative, or recurrent. */
    NO_ROPE("positions are not rotated in it"),
    /** Positions have several axes (M-RoPE). */
    SEVERAL_AXES("its positions have several axes (M-RoPE)"),
    /** Some layers see a sliding window only; scaling does not reach them. */
    SLIDING_WINDOW("some of its layers see a sliding window only"),
    /** Some layers with full attention are not rotated. */
    SOME_LAYERS_UNROTATED("some of its layers are not rotated"),
    /** No layer that scaling reaches is rotated. */
    FULL_LAYERS_UNROTATED("its layers with full attention are not rotated"),
    /** Some or all layers keep a recurrent state. */
    RECURRENT("it has recurrent layers"),
    /** Keys are compressed (MLA). */
    LATENT_ATTENTION("its keys are compressed (MLA)"),
    /** A token sees tokens after it: an encoder. */
    NOT_CAUSAL("it is an encoder"),
    /** The file has a {@code rope_freqs} tensor. */
    FREQUENCY_TENSOR("the file has a rope_freqs tensor"),
    /** The file has LongRoPE's two tables. */
    LONGROPE_TENSORS("the file has LongRoPE tables");

    private final String words;

    Trait(String words) {
      this.words = words;
    }

    /** Returns what the trait says, as the second half of a sentence. */
    public String words() {
      return words;
    }
  }

  /** Copies the traits. */
  public RopeFacts {
    Checks.notNegative("the number of rotated dimensions", dimensions);
    Checks.notNegative("the trained length", trainedTokens);
    Checks.originalTokens(originalTokens);
    traits = Set.copyOf(traits);
  }

  /**
   * Makes the facts of a plain model: full attention, RoPE, nothing scaled.
   *
   * @param basis its rotation and trained length
   */
  public static RopeFacts plain(RopeBasis basis) {
    return new RopeFacts(
        "llama",
        basis.dimensions(),
        basis.base(),
        basis.trainedTokens(),
        "none",
        1,
        0,
        basis.betaFast(),
        basis.betaSlow(),
        Set.of());
  }

  /** Returns a copy with exactly these traits. */
  public RopeFacts withTraits(Trait... values) {
    return new RopeFacts(
        architecture,
        dimensions,
        base,
        trainedTokens,
        scalingType,
        scalingFactor,
        originalTokens,
        betaFast,
        betaSlow,
        Set.of(values));
  }

  /**
   * Returns a copy whose file is scaled already.
   *
   * @param type name of the scaling
   * @param factor by how much the length was stretched
   * @param original length in tokens before it; 0 when not stated
   */
  public RopeFacts withScaling(String type, double factor, int original) {
    return new RopeFacts(
        architecture,
        dimensions,
        base,
        trainedTokens,
        type,
        factor,
        original,
        betaFast,
        betaSlow,
        traits);
  }

  /** Reads the facts from a model's file; only its head is needed. */
  public static RopeFacts of(GgufFile file) {
    ModelMetadata model = file.model();
    RopeMetadata rope = model.rope();
    double fast = rope.yarnBetaFast().orElse(RopeBasis.DEFAULT_BETA_FAST);
    double slow = rope.yarnBetaSlow().orElse(RopeBasis.DEFAULT_BETA_SLOW);
    // A converter that writes nonsense here must not keep the model from being loaded unscaled.
    boolean sane = Double.isFinite(fast) && slow >= 0 && fast > slow;
    return new RopeFacts(
        model.architecture(),
        whole(rope.dimensions().orElse(model.headSizeK().orElse(0))),
        rope.base(),
        whole(model.trainedContextTokens().orElse(0)),
        rope.scalingType().orElse(rope.scalingFactor().isPresent() ? "linear" : "none"),
        // 0 is how some converters write that there is none.
        rope.scalingFactor().orElse(1) == 0 ? 1 : rope.scalingFactor().orElse(1),
        whole(rope.originalContextTokens().orElse(0)),
        sane ? fast : RopeBasis.DEFAULT_BETA_FAST,
        sane ? slow : RopeBasis.DEFAULT_BETA_SLOW,
        traits(file, model));
  }

  /** Returns whether the model has a trait. */
  public boolean has(Trait trait) {
    return traits.contains(trait);
  }

  /** Returns whether the file scales positions by itself. */
  public boolean isScaled() {
    return has(Trait.FREQUENCY_TENSOR)
        || has(Trait.LONGROPE_TENSORS)
        || (scalingFactor != 1 && !scalingType.equals("none"));
  }

  /**
   * Returns the model's rotation before any scaling.
   *
   * @throws UnsupportedOperationForModelException if positions are not rotated, or the file does
   *     not say how
   */
  public RopeBasis basis() {
    if (has(Trait.NO_ROPE)) {
      throw new UnsupportedOperationForModelException(
          "a model of architecture '"
              + architecture
              + "' does not rotate positions, so there is nothing to scale; leave the scaling out");
    }
    if (dimensions == 0 || trainedTokens == 0) {
      throw new UnsupportedOperationForModelException(
          "the file states %d rotated dimensions and a trained length of %d tokens, and a scaling needs both; leave the scaling out, or convert the model again"
              .formatted(dimensions, trainedTokens));
    }
    try {
      return new RopeBasis(dimensions, base, trainedTokens, betaFast, betaSlow);
    } catch (IllegalArgumentException e) {
      throw new UnsupportedOperationForModelException(
          "the file's RoPE cannot be scaled: " + e.getMessage() + "; convert the model again", e);
    }
  }

  private static Set<Trait> traits(GgufFile file, ModelMetadata model) {
    String architecture = model.architecture();
    Set<Trait> traits = EnumSet.noneOf(Trait.class);
    traits.addAll(RopeArchitectures.traits(architecture));
    String prefix = architecture + ".";
    if (isSet(file.metadata().get(prefix + "rope.dimension_sections"))) {
      traits.add(Trait.SEVERAL_AXES);
    }
    if (RopeArchitectures.slides(architecture, model.slidingWindowTokens().isPresent())) {
      traits.add(Trait.SLIDING_WINDOW);
      if (RopeArchitectures.rotatesSlidingLayersOnly(architecture)) {
        traits.add(Trait.FULL_LAYERS_UNROTATED);
      }
    }
    if (model.recurrentStateSize().isPresent()) {
      traits.add(Trait.RECURRENT);
    }
    if (file.uint32(prefix + "attention.kv_lora_rank").orElse(0) > 0
        || file.uint32(prefix + "attention.key_length_mla").orElse(0) > 0) {
      traits.add(Trait.LATENT_ATTENTION);
    }
    if (!file.bool(prefix + "attention.causal").orElse(true)) {
      traits.add(Trait.NOT_CAUSAL);
    }
    if (file.tensor("rope_freqs.weight").isPresent()) {
      traits.add(Trait.FREQUENCY_TENSOR);
    }
    if (file.tensor("rope_factors_long.weight").isPresent()
        || file.tensor("rope_factors_short.weight").isPresent()) {
      traits.add(Trait.LONGROPE_TENSORS);
    }
    return traits;
  }

  private static boolean isSet(@Nullable GgufValue value) {
    if (value instanceof GgufArray array && array.elementType().isInteger()) {
      for (int i = 0; i < array.size(); i++) {
        if (array.whole(i) != 0) {
          return true;
        }
      }
    }
    return value instanceof GgufValue.Whole whole && whole.value() != 0;
  }

  private static int whole(long value) {
    return (int) Math.min(Integer.MAX_VALUE, value);
  }
}
