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
