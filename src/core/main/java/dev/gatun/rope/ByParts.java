package dev.gatun.rope;

/**
 * The ramp of NTK-by-parts and YaRN with everything filled in.
 *
 * @param basis the model's rotation
 * @param tokens original length in tokens
 * @param betaFast rotations above which a dimension keeps its frequency
 * @param betaSlow rotations below which a dimension is divided by the whole factor
 */
record ByParts(RopeBasis basis, int tokens, double betaFast, double betaSlow) {
  ByParts {
    // One of the two may be the model's and the other the caller's.
    Checks.betas(betaFast, betaSlow);
  }

  static ByParts of(RopeBasis basis, int originalTokens, double betaFast, double betaSlow) {
    return new ByParts(
        basis,
        basis.originalOr(originalTokens),
        Double.isNaN(betaFast) ? basis.betaFast() : betaFast,
        Double.isNaN(betaSlow) ? basis.betaSlow() : betaSlow);
  }

  /** Returns the unchanged share of a pair: straight in the number of rotations (equation 18). */
  double paper(int pair) {
    double rotations = tokens * basis.frequency(pair) / (2 * Math.PI);
    return clamp((rotations - betaSlow) / (betaFast - betaSlow));
  }

  /**
   * Returns the unchanged share of a pair: straight in the pair's index, between the pairs that
   * turn betaFast and betaSlow times.
   */
  double code(int pair, boolean truncate) {
    double low = pairTurning(betaFast);
    double high = pairTurning(betaSlow);
    if (truncate) {
      low = Math.floor(low);
      high = Math.ceil(high);
    }
    low = Math.max(0, low);
    high = Math.min(basis.dimensions() - 1, high);
    // ggml's guard against borders that coincide.
    return 1 - clamp((pair - low) / Math.max(0.001, high - low));
  }

  /** Returns the fractional index of the pair that turns so often within the original length. */
  double pairTurning(double rotations) {
    return basis.dimensions()
        * Math.log(tokens / (2 * Math.PI * rotations))
        / (2 * Math.log(basis.base()));
  }

  private static double clamp(double value) {
    return Math.clamp(value, 0, 1);
  }
}
