package dev.gatun.rope;

/**
 * Position interpolation: every position is divided by the factor.
 *
 * <p>Source: Chen et al., "Extending Context Window of Large Language Models via Positional
 * Interpolation", 2023, equation 4.
 *
 * @param factor context extension ratio, at least 1
 */
public record Linear(double factor) implements StaticScaling {
  /** Checks the factor. */
  public Linear {
    Checks.factor(factor);
  }

  @Override
  public Rotation rotation(RopeBasis basis) {
    return Rotation.of(basis, 1, i -> basis.frequency(i) / factor);
  }

  @Override
  public String describe() {
    return "linear scaling with factor " + Checks.shown(factor);
  }
}
