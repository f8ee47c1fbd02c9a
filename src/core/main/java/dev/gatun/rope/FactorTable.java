package dev.gatun.rope;

import java.util.Arrays;
import java.util.List;

/**
 * Any scaling as a table: what each unscaled frequency is divided by, as in a {@code
 * rope_freqs.weight} tensor. It is complete in itself: it replaces whatever the file says.
 *
 * @param factors one for each pair of elements, above 0
 * @param attentionFactor multiplier of queries and of keys; logits change by its square
 */
public record FactorTable(List<Double> factors, double attentionFactor) implements StaticScaling {
  /** Checks the numbers and copies the table. */
  public FactorTable {
    factors = checked(factors);
    Checks.positive("the attention factor", attentionFactor);
  }

  /**
   * Makes a table without attention factor.
   *
   * @param factors one for each pair of elements
   */
  public static FactorTable of(double... factors) {
    return new FactorTable(Arrays.stream(factors).boxed().toList(), 1);
  }

  /** Returns a rotation as a table. */
  public static FactorTable of(Rotation rotation) {
    return new FactorTable(
        Arrays.stream(rotation.freqFactors()).boxed().toList(), rotation.attentionFactor());
  }

  @Override
  public Rotation rotation(RopeBasis basis) {
    return rotation(basis, factors, attentionFactor);
  }

  @Override
  public boolean replacesFileScaling() {
    return true;
  }

  @Override
  public String describe() {
    return "a table of " + factors.size() + " frequency factors";
  }

  static List<Double> checked(List<Double> factors) {
    if (factors.isEmpty()) {
      throw new IllegalArgumentException("a table of frequency factors must not be empty");
    }
    for (double factor : factors) {
      Checks.positive("a frequency factor", factor);
    }
    return List.copyOf(factors);
  }

  static Rotation rotation(RopeBasis basis, List<Double> factors, double attentionFactor) {
    if (factors.size() != basis.pairs()) {
      throw new IllegalArgumentException(
          "the model rotates %d pairs of elements, but the table has %d factors"
              .formatted(basis.pairs(), factors.size()));
    }
    return Rotation.of(basis, attentionFactor, i -> basis.frequency(i) / factors.get(i));
  }
}
