package dev.gatun.rope;

/**
 * YaRN: NTK-by-parts interpolation with attention temperature.
 *
 * <p>Source: Peng et al., "YaRN: Efficient Context Window Extension of Large Language Models",
 * 2023, equations 17 to 23, with the ramp of the published code. Betas that are {@linkplain
 * Double#NaN NaN} are the model's.
 *
 * @param factor context extension ratio, at least 1
 * @param originalTokens trained length in tokens; 0 takes the model's
 * @param extrapolationFactor share of the by-parts mix ({@code yarn_ext_factor}): 1 is YaRN, 0 is
 *     linear scaling without temperature; anything between has the whole temperature, as in ggml
 * @param temperature multiplier of the attention
 * @param betaFast rotations above which a dimension is not interpolated ({@code yarn_beta_fast})
 * @param betaSlow rotations below which a dimension is fully interpolated ({@code yarn_beta_slow})
 * @param truncate whether the ramp's borders are rounded outwards to whole pairs, as ggml does;
 *     gpt-oss does not
 */
public record Yarn(
    double factor,
    int originalTokens,
    double extrapolationFactor,
    Temperature temperature,
    double betaFast,
    double betaSlow,
    boolean truncate)
    implements StaticScaling {
  /** Checks the numbers. */
  public Yarn {
    Checks.factor(factor);
    Checks.originalTokens(originalTokens);
    Checks.betas(betaFast, betaSlow);
    if (!(extrapolationFactor >= 0 && extrapolationFactor <= 1)) {
      throw new IllegalArgumentException(
          "the share of the by-parts mix must be from 0 to 1, but is " + extrapolationFactor);
    }
  }

  /** Returns a copy with another original length, in tokens. */
  public Yarn withOriginalTokens(int tokens) {
    return new Yarn(factor, tokens, extrapolationFactor, temperature, betaFast, betaSlow, truncate);
  }

  /** Returns a copy with another share of the by-parts mix. */
  public Yarn withExtrapolationFactor(double value) {
    return new Yarn(factor, originalTokens, value, temperature, betaFast, betaSlow, truncate);
  }

  /** Returns a copy with another attention temperature. */
  public Yarn withTemperature(Temperature value) {
    return new Yarn(
        factor, originalTokens, extrapolationFactor, value, betaFast, betaSlow, truncate);
  }

  /** Returns a copy with other ramp borders, in rotations over the original length. */
  public Yarn withBetas(double fast, double slow) {
    return new Yarn(factor, originalTokens, extrapolationFactor, temperature, fast, slow, truncate);
  }

  /** Returns a copy with rounded borders or with exact ones. */
  public Yarn withTruncate(boolean value) {
    return new Yarn(
        factor, originalTokens, extrapolationFactor, temperature, betaFast, betaSlow, value);
  }

  @Override
  public Rotation rotation(RopeBasis basis) {
    ByParts parts = ByParts.of(basis, originalTokens, betaFast, betaSlow);
    return Rotation.of(
        basis,
        temperature.attentionFactor(factor, extrapolationFactor > 0),
        i ->
            NtkByParts.mixed(
                basis.frequency(i), factor, parts.code(i, truncate) * extrapolationFactor));
  }

  @Override
  public boolean replacesFileScaling() {
    return originalTokens > 0;
  }

  @Override
  public String describe() {
    return "YaRN with factor " + Checks.shown(factor);
  }
}
