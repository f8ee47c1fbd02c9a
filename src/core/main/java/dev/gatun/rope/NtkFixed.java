package dev.gatun.rope;

/**
 * NTK-aware scaling that keeps the base and spreads the factor over all pairs: {@code
 * θ_i·s^(-2(i+1)/d)}. The slowest pair is divided by exactly the factor, the fastest a little.
 *
 * <p>Source: Su, kexue.fm/archives/9706, 2023; vLLM's {@code rope_type} "ntk".
 *
 * @param factor context extension ratio, at least 1
 */
public record NtkFixed(double factor) implements StaticScaling {
  /** Checks the factor. */
  public NtkFixed {
    Checks.factor(factor);
  }

  @Override
  public Rotation rotation(RopeBasis basis) {
    return Rotation.of(
        basis, 1, i -> basis.frequency(i) / Math.pow(factor, 2.0 * (i + 1) / basis.dimensions()));
  }

  @Override
  public String describe() {
    return "NTK scaling over all pairs with factor " + Checks.shown(factor);
  }
}
