package dev.gatun.rope;

import java.util.List;

/**
 * A scaling that was chosen, and why.
 *
 * @param scaling the scaling; never {@link Auto}
 * @param ratio length of the context over the trained length; 0 when that is not limited
 * @param reasons half sentences in plain words, the most important first
 */
public record RopeChoice(RopeScaling scaling, double ratio, List<String> reasons) {
  /** Copies the reasons. */
  public RopeChoice {
    reasons = List.copyOf(reasons);
  }
}
