package dev.gatun.rope;

import java.util.Arrays;
import java.util.function.IntToDoubleFunction;

/**
 * A rotation as numbers: how fast each pair of elements turns, and what the attention is multiplied
 * with. Immutable; any thread.
 */
public final class Rotation {
  private final RopeBasis basis;
  private final double[] inverseFrequencies;
  private final double attentionFactor;

  /**
   * Makes a rotation.
   *
   * @param basis the model's rotation before scaling
   * @param inverseFrequencies radians per position of each pair; copied
   * @param attentionFactor multiplier of queries and of keys, so that logits change by its square
   * @throws IllegalArgumentException if there is not one frequency for each pair, or a number is
   *     not finite and above 0
   */
  public Rotation(RopeBasis basis, double[] inverseFrequencies, double attentionFactor) {
    if (inverseFrequencies.length != basis.pairs()) {
      throw new IllegalArgumentException(
          "the model rotates %d pairs of elements, but the table has %d frequencies"
              .formatted(basis.pairs(), inverseFrequencies.length));
    }
    this.basis = basis;
    this.inverseFrequencies = inverseFrequencies.clone();
    for (double frequency : this.inverseFrequencies) {
      Checks.positive("an inverse frequency", frequency);
    }
    Checks.positive("the attention factor", attentionFactor);
    this.attentionFactor = attentionFactor;
  }

  static Rotation of(RopeBasis basis, double attentionFactor, IntToDoubleFunction frequencyOfPair) {
    double[] frequencies = new double[basis.pairs()];
    Arrays.setAll(frequencies, frequencyOfPair);
    return new Rotation(basis, frequencies, attentionFactor);
  }

  /** Returns the model's rotation without scaling. */
  public static Rotation unscaled(RopeBasis basis) {
    return of(basis, 1, basis::frequency);
  }

  /** Returns the model's rotation before scaling. */
  public RopeBasis basis() {
    return basis;
  }

  /** Returns radians per position, shape {@code [dimensions / 2]}; a copy. */
  public double[] inverseFrequencies() {
    return inverseFrequencies.clone();
  }

  /** Returns the multiplier of queries and of keys; logits change by its square. */
  public double attentionFactor() {
    return attentionFactor;
  }

  /**
   * Returns what each unscaled frequency is divided by, shape {@code [dimensions / 2]}: the content
   * of a {@code rope_freqs.weight} tensor.
   */
  public double[] freqFactors() {
    double[] factors = new double[inverseFrequencies.length];
    Arrays.setAll(factors, i -> basis.frequency(i) / inverseFrequencies[i]);
    return factors;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Rotation that
        && basis.equals(that.basis)
        && Double.compare(attentionFactor, that.attentionFactor) == 0
        && Arrays.equals(inverseFrequencies, that.inverseFrequencies);
  }

  @Override
  public int hashCode() {
    return 31 * Arrays.hashCode(inverseFrequencies) + Double.hashCode(attentionFactor);
  }

  @Override
  public String toString() {
    return "Rotation[" + basis + ", attentionFactor=" + attentionFactor + "]";
  }
}
