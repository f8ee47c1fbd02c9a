package dev.gatun.rope;

/**
 * A scaling that follows the length of the text: as trained while that suffices, then by a factor
 * that doubles. At each border of a bucket the text so far must be read again, because its keys
 * were made under the old scaling.
 *
 * <p>Source: Peng et al., "YaRN", 2023, section 3.3, which wants keys to be cached before the
 * rotation; buckets that are read again give the same numbers.
 *
 * @param family which scaling is stretched
 */
public record Dynamic(Family family) implements RopeScaling {
  /** Which scaling is stretched. */
  public enum Family {
    /** {@link Linear}. */
    LINEAR,
    /** {@link NtkAware}: the paper's dynamic NTK. */
    NTK_AWARE,
    /** {@link Yarn}: the paper's dynamic YaRN. */
    YARN,
    /** What {@link RopeAdvisor} chooses for the length. */
    AUTO
  }

  /**
   * Returns the longest text, in tokens, that has the same scaling as a text: the trained length,
   * then twice that, four times, and so on, at most {@link Integer#MAX_VALUE}.
   *
   * @param lengthTokens length of the text in tokens
   * @param trainedTokens trained length in tokens, at least 1
   */
  public static int bucketEnd(int lengthTokens, int trainedTokens) {
    Checks.notNegative("the length", lengthTokens);
    if (trainedTokens < 1) {
      throw new IllegalArgumentException(
          "the trained length must be at least 1 token, but is " + trainedTokens);
    }
    long end = trainedTokens;
    while (end < lengthTokens) {
      end *= 2;
    }
    return (int) Math.min(Integer.MAX_VALUE, end);
  }

  /**
   * Returns the scaling for a text on any device: {@link #at(int, RopeFacts, boolean)} with GPUs.
   */
  public RopeScaling at(int lengthTokens, RopeFacts facts) {
    return at(lengthTokens, facts, false);
  }

  /**
   * Returns the scaling for a text: the same for every length of a {@linkplain #bucketEnd bucket}.
   *
   * @param lengthTokens length of the text in tokens
   * @param facts what is known of the model
   * @param cpuOnly whether the model runs on the CPU alone, which {@link Family#AUTO} asks
   */
  public RopeScaling at(int lengthTokens, RopeFacts facts, boolean cpuOnly) {
    int trained = facts.trainedTokens();
    if (trained == 0 || lengthTokens <= trained) {
      return RopeScaling.modelDefault();
    }
    int end = bucketEnd(lengthTokens, trained);
    double factor = (double) end / trained;
    return switch (family) {
      case LINEAR -> RopeScaling.linear(factor);
      case NTK_AWARE -> RopeScaling.ntkAware(factor);
      case YARN -> RopeScaling.yarn(factor);
      case AUTO -> RopeAdvisor.choose(facts, end, false, cpuOnly).scaling();
    };
  }

  @Override
  public String describe() {
    return switch (family) {
      case LINEAR -> "linear scaling that follows the length";
      case NTK_AWARE -> "NTK-aware scaling that follows the length";
      case YARN -> "YaRN that follows the length";
      case AUTO -> "the best scaling for each length";
    };
  }
}
