package dev.gatun.rope;

/**
 * What a model's rotation is made of, before any scaling.
 *
 * @param dimensions how many elements of a head are rotated ({@code n_rot}): even, at least 2
 * @param base frequency base, above 1
 * @param trainedTokens length in tokens that the model was trained on at once
 * @param betaFast rotations over the trained length above which a dimension is not interpolated,
 *     for a scaling that does not say
 * @param betaSlow rotations below which a dimension is fully interpolated, for a scaling that does
 *     not say
 */
public record RopeBasis(
    int dimensions, double base, int trainedTokens, double betaFast, double betaSlow) {
  /** The YaRN paper's β, found on Llama models. */
  public static final double DEFAULT_BETA_FAST = 32;

  /** The YaRN paper's α, found on Llama models. */
  public static final double DEFAULT_BETA_SLOW = 1;

  /** Checks the numbers. */
  public RopeBasis {
    if (dimensions < 2 || dimensions % 2 != 0) {
      throw new IllegalArgumentException(
          "the number of rotated dimensions must be even and at least 2, but is " + dimensions);
    }
    if (!Double.isFinite(base) || base <= 1) {
      throw new IllegalArgumentException(
          "the RoPE base must be a finite number above 1, but is " + base);
    }
    if (trainedTokens < 1) {
      throw new IllegalArgumentException(
          "the trained length must be at least 1 token, but is " + trainedTokens);
    }
    if (Double.isNaN(betaFast) || Double.isNaN(betaSlow)) {
      throw new IllegalArgumentException("the betas of a basis must be numbers");
    }
    Checks.betas(betaFast, betaSlow);
  }

  /**
   * Makes a basis with the paper's betas.
   *
   * @param dimensions how many elements of a head are rotated
   * @param base frequency base
   * @param trainedTokens trained length in tokens
   */
  public RopeBasis(int dimensions, double base, int trainedTokens) {
    this(dimensions, base, trainedTokens, DEFAULT_BETA_FAST, DEFAULT_BETA_SLOW);
  }

  /** Returns a copy with the betas that the model's file states. */
  public RopeBasis withBetas(double fast, double slow) {
    return new RopeBasis(dimensions, base, trainedTokens, fast, slow);
  }

  /** Returns the number of pairs of elements that turn together. */
  public int pairs() {
    return dimensions / 2;
  }

  /**
   * Returns the unscaled inverse frequency of a pair, in radians per position: {@code
   * base^(-2i/d)}.
   *
   * <p>Source: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021,
   * section 3.2.2.
   *
   * @param pair 0 to {@code pairs - 1}
   */
  public double frequency(int pair) {
    return Math.pow(base, -2.0 * pair / dimensions);
  }

  /** Returns the original length of a scaling, of which 0 means the model's trained one. */
  int originalOr(int originalTokens) {
    return originalTokens == 0 ? trainedTokens : originalTokens;
  }
}
