package dev.gatun.rope;

/** Range checks of scaling parameters; every message names the parameter, the range, the value. */
final class Checks {
  private Checks() {}

  static void factor(double factor) {
    if (!(factor >= 1) || Double.isInfinite(factor)) {
      throw new IllegalArgumentException(
          "the context extension factor must be a finite number of at least 1, but is " + factor);
    }
  }

  static void positive(String name, double value) {
    if (!(value > 0) || Double.isInfinite(value)) {
      throw new IllegalArgumentException(
          name + " must be a finite number above 0, but is " + value);
    }
  }

  static void notNegative(String name, int value) {
    if (value < 0) {
      throw new IllegalArgumentException(name + " must not be negative, but is " + value);
    }
  }

  static void trained(int trainedTokens) {
    if (trainedTokens < 2) {
      throw new IllegalArgumentException(
          "the trained length must be at least 2 tokens, but is " + trainedTokens);
    }
  }

  static void context(int contextTokens) {
    if (contextTokens < 1) {
      throw new IllegalArgumentException(
          "the context must hold at least 1 token, but holds " + contextTokens);
    }
  }

  static void window(int window, int trainedTokens) {
    if (window < 1 || window >= trainedTokens) {
      throw new IllegalArgumentException(
          "the window must be at least 1 token and less than the trained %d, but is %d"
              .formatted(trainedTokens, window));
    }
  }

  static void originalTokens(int value) {
    notNegative("the original context", value);
  }

  /** Checks the ramp's borders, of which NaN means the model's. */
  static void betas(double fast, double slow) {
    if (Double.isInfinite(fast) || Double.isInfinite(slow) || fast <= 0 || slow < 0) {
      throw new IllegalArgumentException(
          "the betas must be finite and not negative, fast above 0, but are %s (fast) and %s (slow)"
              .formatted(fast, slow));
    }
    if (fast <= slow) {
      throw new IllegalArgumentException(
          "beta fast must be larger than beta slow, but they are %s and %s".formatted(fast, slow));
    }
  }

  /** Writes a number without a needless fraction. */
  static String shown(double value) {
    return value == Math.rint(value) && Math.abs(value) < 1e15
        ? Long.toString((long) value)
        : Double.toString(Math.round(value * 1000) / 1000.0);
  }
}
