package dev.gatun.rope;

/**
 * What YaRN multiplies queries and keys with, so that attention stays as sharp as it was on shorter
 * texts.
 *
 * <p>Source: Peng et al., "YaRN", 2023, equation 22: {@code √(1/t) = 0.1·ln s + 1}.
 */
public sealed interface Temperature {
  /**
   * The paper's factor, times a multiplier as llama.cpp's {@code yarn_attn_factor} is meant.
   *
   * @param multiplier 1 is YaRN
   */
  record Standard(double multiplier) implements Temperature {
    /** Checks the multiplier. */
    public Standard {
      Checks.positive("the attention multiplier", multiplier);
    }
  }

  /** No temperature: plain NTK-by-parts. */
  record Off() implements Temperature {}

  /**
   * A given factor in place of the paper's, as {@code attention_factor} in a Hugging Face
   * configuration.
   *
   * @param attentionFactor multiplier of queries and of keys
   */
  record Fixed(double attentionFactor) implements Temperature {
    /** Checks the factor. */
    public Fixed {
      Checks.positive("the attention factor", attentionFactor);
    }
  }

  /**
   * DeepSeek's quotient {@code (0.1·m·ln s + 1) / (0.1·a·ln s + 1)}. What its attention layers
   * multiply with {@code a} besides belongs to the model and not to the rotation.
   *
   * <p>Source: DeepSeek-V2, {@code modeling_deepseek.py}; transformers, {@code
   * _compute_yarn_parameters}.
   *
   * @param mscale {@code m}
   * @param mscaleAllDim {@code a}
   */
  record DeepSeek(double mscale, double mscaleAllDim) implements Temperature {
    /** Checks the numbers. */
    public DeepSeek {
      Checks.positive("mscale", mscale);
      Checks.positive("mscale_all_dim", mscaleAllDim);
    }
  }

  /** Returns the paper's temperature. */
  static Temperature standard() {
    return new Standard(1);
  }

  /** Returns no temperature. */
  static Temperature off() {
    return new Off();
  }

  /**
   * Returns the multiplier of queries and of keys.
   *
   * @param factor context extension ratio
   * @param interpolated whether the by-parts mix is in use; ggml gives plain linear scaling no
   *     temperature of its own
   */
  default double attentionFactor(double factor, boolean interpolated) {
    return switch (this) {
      case Standard standard -> standard.multiplier * (interpolated ? mscale(factor, 1) : 1);
      case Off _ -> 1;
      case Fixed fixed -> fixed.attentionFactor;
      case DeepSeek deep -> mscale(factor, deep.mscale) / mscale(factor, deep.mscaleAllDim);
    };
  }

  private static double mscale(double factor, double weight) {
    return 0.1 * weight * Math.log(factor) + 1;
  }
}
