package dev.gatun.rope;

/**
 * NTK-by-parts interpolation: pairs that turn often within the trained length stay as they are,
 * pairs that do not turn once are divided by the factor, and a ramp joins them.
 *
 * <p>Source: Peng et al., "YaRN", 2023, equations 17 to 20.
 *
 * @param factor context extension ratio, at least 1
 * @param originalTokens trained length in tokens; 0 takes the model's
 * @param betaFast rotations above which a dimension is not interpolated; {@linkplain Double#NaN
 *     NaN} takes the model's
 * @param betaSlow rotations below which a dimension is fully interpolated; NaN takes the model's
 * @param ramp in what the ramp is straight
 * @param truncate whether {@link Ramp#CODE}'s borders are rounded outwards to whole pairs; {@link
 *     Ramp#PAPER} has no such borders and takes true
 */
public record NtkByParts(
    double factor,
    int originalTokens,
    double betaFast,
    double betaSlow,
    Ramp ramp,
    boolean truncate)
    implements StaticScaling {
  /** In what the ramp is straight. */
  public enum Ramp {
    /** In the index of the pair, as in everybody's code: jquesnelle's, transformers, vLLM, ggml. */
    CODE,
    /** In the number of rotations, as equation 18 has it. */
    PAPER
  }

  /** Checks the numbers. */
  public NtkByParts {
    Checks.factor(factor);
    Checks.originalTokens(originalTokens);
    Checks.betas(betaFast, betaSlow);
    if (ramp == Ramp.PAPER && !truncate) {
      throw new IllegalArgumentException(
          "the paper's ramp has no borders to leave unrounded; truncate must be true");
    }
  }

  /** Returns a copy with another original length, in tokens. */
  public NtkByParts withOriginalTokens(int tokens) {
    return new NtkByParts(factor, tokens, betaFast, betaSlow, ramp, truncate);
  }

  /** Returns a copy with other ramp borders, in rotations over the original length. */
  public NtkByParts withBetas(double fast, double slow) {
    return new NtkByParts(factor, originalTokens, fast, slow, ramp, truncate);
  }

  /** Returns a copy with another ramp. */
  public NtkByParts withRamp(Ramp value) {
    return new NtkByParts(factor, originalTokens, betaFast, betaSlow, value, truncate);
  }

  /** Returns a copy with rounded borders or with exact ones. */
  public NtkByParts withTruncate(boolean value) {
    return new NtkByParts(factor, originalTokens, betaFast, betaSlow, ramp, value);
  }

  @Override
  public Rotation rotation(RopeBasis basis) {
    return Rotation.of(basis, 1, i -> mixed(basis.frequency(i), factor, share(basis, i)));
  }

  @Override
  public boolean replacesFileScaling() {
    return originalTokens > 0;
  }

  @Override
  public String describe() {
    return "NTK-by-parts%s with factor %s"
        .formatted(ramp == Ramp.PAPER ? " (the paper's ramp)" : "", Checks.shown(factor));
  }

  private double share(RopeBasis basis, int pair) {
    ByParts parts = ByParts.of(basis, originalTokens, betaFast, betaSlow);
    return ramp == Ramp.PAPER ? parts.paper(pair) : parts.code(pair, truncate);
  }

  /** Mixes the unchanged frequency, by its share, with the divided one. */
  static double mixed(double frequency, double factor, double unchangedShare) {
    return frequency / factor * (1 - unchangedShare) + frequency * unchangedShare;
  }
}
