package dev.gatun.rope;

/**
 * Llama 3.1's scaling: short wavelengths stay, long ones are multiplied with the factor, and those
 * between are joined smoothly.
 *
 * <p>Source: Meta, llama-models, {@code apply_scaling}, 2024; transformers, {@code rope_type}
 * "llama3".
 *
 * @param factor context extension ratio, at least 1
 * @param lowFreqFactor rotations over the original length up to which a pair is divided by the
 *     whole factor; Llama 3.1 has 1
 * @param highFreqFactor rotations from which on a pair stays; Llama 3.1 has 4
 * @param originalTokens trained length in tokens; 0 takes the model's
 */
public record Llama3(double factor, double lowFreqFactor, double highFreqFactor, int originalTokens)
    implements StaticScaling {
  /** Checks the numbers. */
  public Llama3 {
    Checks.factor(factor);
    Checks.positive("the low-frequency factor", lowFreqFactor);
    Checks.positive("the high-frequency factor", highFreqFactor);
    if (highFreqFactor <= lowFreqFactor) {
      throw new IllegalArgumentException(
          "the high-frequency factor must be larger than the low one, but they are %s and %s"
              .formatted(highFreqFactor, lowFreqFactor));
    }
    Checks.originalTokens(originalTokens);
  }

  /** Returns a copy with another original length, in tokens. */
  public Llama3 withOriginalTokens(int tokens) {
    return new Llama3(factor, lowFreqFactor, highFreqFactor, tokens);
  }

  @Override
  public Rotation rotation(RopeBasis basis) {
    int original = basis.originalOr(originalTokens);
    return Rotation.of(
        basis,
        1,
        i -> {
          double frequency = basis.frequency(i);
          double rotations = original * frequency / (2 * Math.PI);
          double smooth = (rotations - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
          return NtkByParts.mixed(frequency, factor, Math.clamp(smooth, 0, 1));
        });
  }

  @Override
  public boolean replacesFileScaling() {
    return originalTokens > 0;
  }

  @Override
  public String describe() {
    return "Llama 3.1's scaling with factor " + Checks.shown(factor);
  }
}
