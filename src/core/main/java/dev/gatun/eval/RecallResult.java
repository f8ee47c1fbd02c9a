package dev.gatun.eval;

/**
 * How many questions about hidden facts were answered rightly. Immutable.
 *
 * @param correct right answers
 * @param asked questions
 * @param trials prompts
 */
public record RecallResult(int correct, int asked, int trials) {
  /** Returns the share of right answers, 0 to 1; NaN before the first question. */
  public double accuracy() {
    return (double) correct / asked;
  }
}
