package dev.gatun.rope;

import java.util.OptionalInt;

/**
 * Leaves the choice to {@link RopeAdvisor}.
 *
 * @param targetTokens length in tokens that is to be reached; empty takes the context's size
 * @param fast whether to choose only among methods that cost no time
 */
public record Auto(OptionalInt targetTokens, boolean fast) implements RopeScaling {
  /** Checks the length. */
  public Auto {
    if (targetTokens.isPresent() && targetTokens.getAsInt() < 1) {
      throw new IllegalArgumentException(
          "the length must be at least 1 token, but is " + targetTokens.getAsInt());
    }
  }

  @Override
  public String describe() {
    return fast ? "the best scaling that costs no time" : "the best scaling";
  }
}
