package dev.gatun.rope;

/**
 * NTK-aware scaling: a larger base {@code b·s^(d/(d-2))} leaves the fastest pair alone and divides
 * the slowest by exactly the factor.
 *
 * <p>Source: bloc97, "NTK-Aware Scaled RoPE", 2023; Peng et al., "YaRN", 2023, equations 15 and 16.
 *
 * @param factor context extension ratio, at least 1
 */
public record NtkAware(double factor) implements StaticScaling {
  /** Checks the factor. */
  public NtkAware {
    Checks.factor(factor);
  }

  /** Returns the base that stands for this scaling on a model. */
  public double stretchedBase(RopeBasis basis) {
    return stretchedBase(basis, factor);
  }

  @Override
  public Rotation rotation(RopeBasis basis) {
    return rotation(basis, factor);
  }

  @Override
  public String describe() {
    return "NTK-aware scaling with factor " + Checks.shown(factor);
  }

  static double stretchedBase(RopeBasis basis, double factor) {
    int d = basis.dimensions();
    // A single pair does not turn with the base at all.
    return d == 2 ? basis.base() : basis.base() * Math.pow(factor, d / (d - 2.0));
  }

  static Rotation rotation(RopeBasis basis, double factor) {
    double d = basis.dimensions();
    // base'^(-2i/d), written so that the last pair is divided by the factor without rounding.
    return Rotation.of(
        basis, 1, i -> i == 0 ? 1 : basis.frequency(i) / Math.pow(factor, 2 * i / (d - 2)));
  }
}
