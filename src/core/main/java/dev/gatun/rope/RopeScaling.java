package dev.gatun.rope;

/**
 * How positions are scaled when a RoPE model runs past its trained context. Immutable values; the
 * translation to what the native side needs is made when a context is created.
 */
public sealed interface RopeScaling {

  /** What the model file asks for, unchanged. */
  record ModelDefault() implements RopeScaling {}

  /** No scaling, whatever the model file asks for. */
  record None() implements RopeScaling {}

  /**
   * Position interpolation: every position is divided by the factor.
   *
   * <p>Source: Chen et al., "Extending Context Window of Large Language Models via Positional
   * Interpolation", 2023, equation 4.
   *
   * @param factor context extension ratio, at least 1
   */
  record Linear(double factor) implements RopeScaling {
    /** Checks the factor. */
    public Linear {
      requireFactor(factor);
    }
  }

  /**
   * Another RoPE base and a plain position scale: the raw native parameters, for files that need
   * them.
   *
   * @param base RoPE base frequency; 0 keeps the model's
   * @param scale factor that positions are multiplied with; 0 keeps the model's
   */
  record Frequency(double base, double scale) implements RopeScaling {
    /** Checks the numbers. */
    public Frequency {
      if (!Double.isFinite(base) || base < 0 || !Double.isFinite(scale) || scale < 0) {
        throw new IllegalArgumentException(
            "RoPE base and scale must be finite and not negative, but are %s and %s; 0 keeps the model's"
                .formatted(base, scale));
      }
    }
  }

  /**
   * YaRN: NTK-by-parts interpolation with attention temperature.
   *
   * <p>Source: Peng et al., "YaRN: Efficient Context Window Extension of Large Language Models",
   * 2023, equations 17 to 23. The fields that are {@linkplain Double#NaN NaN} are taken from the
   * model's metadata, else from the paper.
   *
   * @param factor context extension ratio, at least 1
   * @param originalContextTokens trained context in tokens; 0 takes the model's
   * @param extrapolationFactor share of the by-parts mix, 1 is YaRN, 0 is linear ({@code
   *     yarn_ext_factor})
   * @param attentionFactor multiplier of the attention temperature ({@code yarn_attn_factor})
   * @param betaFast rotations above which a dimension is not interpolated ({@code yarn_beta_fast})
   * @param betaSlow rotations below which a dimension is fully interpolated ({@code
   *     yarn_beta_slow})
   */
  record Yarn(
      double factor,
      int originalContextTokens,
      double extrapolationFactor,
      double attentionFactor,
      double betaFast,
      double betaSlow)
      implements RopeScaling {
    /** Checks the numbers. */
    public Yarn {
      requireFactor(factor);
      if (originalContextTokens < 0) {
        throw new IllegalArgumentException(
            "the original context must not be negative, but is " + originalContextTokens);
      }
      if (betaFast <= betaSlow) {
        throw new IllegalArgumentException(
            "YaRN's beta fast must be larger than beta slow, but they are %s and %s"
                .formatted(betaFast, betaSlow));
      }
      if (Double.isInfinite(extrapolationFactor)
          || Double.isInfinite(attentionFactor)
          || Double.isInfinite(betaFast)
          || Double.isInfinite(betaSlow)
          || extrapolationFactor < 0
          || attentionFactor <= 0
          || betaSlow < 0) {
        throw new IllegalArgumentException("YaRN's parameters must be finite and not negative");
      }
    }

    /** Returns a copy with another original context, in tokens. */
    public Yarn withOriginalContextTokens(int tokens) {
      return new Yarn(factor, tokens, extrapolationFactor, attentionFactor, betaFast, betaSlow);
    }

    /** Returns a copy with another share of the by-parts mix. */
    public Yarn withExtrapolationFactor(double value) {
      return new Yarn(factor, originalContextTokens, value, attentionFactor, betaFast, betaSlow);
    }

    /** Returns a copy with another multiplier of the attention temperature. */
    public Yarn withAttentionFactor(double value) {
      return new Yarn(
          factor, originalContextTokens, extrapolationFactor, value, betaFast, betaSlow);
    }

    /** Returns a copy with other ramp borders, in rotations over the trained context. */
    public Yarn withBetas(double fast, double slow) {
      return new Yarn(
          factor, originalContextTokens, extrapolationFactor, attentionFactor, fast, slow);
    }
  }

  /** Returns the scaling that the model file asks for. */
  static RopeScaling modelDefault() {
    return new ModelDefault();
  }

  /** Returns no scaling. */
  static RopeScaling none() {
    return new None();
  }

  /**
   * Returns linear interpolation.
   *
   * @param factor context extension ratio, at least 1
   */
  static RopeScaling linear(double factor) {
    return new Linear(factor);
  }

  /**
   * Returns YaRN with the model's, else the paper's parameters.
   *
   * @param factor context extension ratio, at least 1
   */
  static Yarn yarn(double factor) {
    return new Yarn(factor, 0, Double.NaN, Double.NaN, Double.NaN, Double.NaN);
  }

  private static void requireFactor(double factor) {
    if (!(factor >= 1) || Double.isInfinite(factor)) {
      throw new IllegalArgumentException(
          "the context extension factor must be a finite number of at least 1, but is " + factor);
    }
  }
}
