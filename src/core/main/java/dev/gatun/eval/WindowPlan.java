package dev.gatun.eval;

/**
 * How a text is cut into windows. The logits after position {@code j} of a window are about its
 * token {@code j + 1}; those with {@code first <= j < length - 1} are scored.
 *
 * @param length tokens of a window
 * @param first position of the first logits that are scored
 * @param step tokens from the start of a window to that of the next
 * @param count number of windows
 */
record WindowPlan(int length, int first, int step, int count) {
  /**
   * Plans the windows of a text.
   *
   * @param tokens tokens of the text
   * @throws IllegalArgumentException if the text does not fill one window
   */
  static WindowPlan of(int tokens, PerplexityOptions options) {
    int length = options.contextTokens();
    if (tokens < length) {
      throw new IllegalArgumentException(
          "the text has %,d tokens and does not fill one window of %,d; give a longer text or a shorter length"
              .formatted(tokens, length));
    }
    int first;
    int step = length;
    switch (options.scoring()) {
      case Scoring.SecondHalf _ -> first = length / 2;
      case Scoring.WholeWindow _ -> first = 1;
      case Scoring.Sliding sliding -> {
        step = sliding.stride();
        if (step >= length) {
          throw new IllegalArgumentException(
              "a stride of %,d tokens does not overlap windows of %,d; give a smaller one"
                  .formatted(step, length));
        }
        first = length - step - 1;
      }
    }
    int count = (tokens - length) / step + 1;
    long most = options.windows().orElse(Integer.MAX_VALUE);
    if (options.tokenBudget().isPresent()) {
      most = Math.min(most, Math.max(1, options.tokenBudget().getAsLong() / length));
    }
    return new WindowPlan(length, first, step, (int) Math.min(count, most));
  }

  /** Returns where a window begins in the text. */
  int start(int window) {
    return window * step;
  }

  /** Returns how many tokens of a window are scored. */
  int scored() {
    return length - 1 - first;
  }

  /** Returns how many tokens of a window are read: the last one only has to be foreseen. */
  int read() {
    return length - 1;
  }
}
