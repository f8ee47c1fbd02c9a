package dev.gatun.rope;

import java.util.List;

/**
 * LongRoPE: every pair is divided by a searched factor of its own, from one table up to the
 * original length and from another beyond it.
 *
 * <p>Source: Ding et al., "LongRoPE: Extending LLM Context Window Beyond 2 Million Tokens", 2024,
 * section 3; the attention factor as in Phi-3.
 *
 * @param shortFactors divisors of the frequencies up to the original length
 * @param longFactors divisors beyond it, of the same number
 * @param factor context extension ratio: 1 uses the short table, more the long one
 * @param originalTokens trained length in tokens; 0 takes the model's
 * @param attentionFactor multiplier of queries and of keys; {@linkplain Double#NaN NaN} computes
 *     {@code √(1 + ln s / ln L)}
 */
public record LongRope(
    List<Double> shortFactors,
    List<Double> longFactors,
    double factor,
    int originalTokens,
    double attentionFactor)
    implements StaticScaling {
  /** Checks the numbers and copies the tables. */
  public LongRope {
    shortFactors = FactorTable.checked(shortFactors);
    longFactors = FactorTable.checked(longFactors);
    if (shortFactors.size() != longFactors.size()) {
      throw new IllegalArgumentException(
          "LongRoPE's tables must have the same length, but have %d (short) and %d (long) factors"
              .formatted(shortFactors.size(), longFactors.size()));
    }
    Checks.factor(factor);
    Checks.originalTokens(originalTokens);
    if (!Double.isNaN(attentionFactor)) {
      Checks.positive("the attention factor", attentionFactor);
    }
  }

  /** Returns a copy for another context extension ratio. */
  public LongRope withFactor(double value) {
    return new LongRope(shortFactors, longFactors, value, originalTokens, attentionFactor);
  }

  /** Returns a copy with another original length, in tokens. */
  public LongRope withOriginalTokens(int tokens) {
    return new LongRope(shortFactors, longFactors, factor, tokens, attentionFactor);
  }

  @Override
  public Rotation rotation(RopeBasis basis) {
    double attention = attentionFactor;
    if (Double.isNaN(attention)) {
      int original = basis.originalOr(originalTokens);
      attention = factor == 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
    }
    return FactorTable.rotation(basis, factor > 1 ? longFactors : shortFactors, attention);
  }

  @Override
  public boolean replacesFileScaling() {
    return originalTokens > 0;
  }

  @Override
  public String describe() {
    return "LongRoPE with factor " + Checks.shown(factor);
  }
}
