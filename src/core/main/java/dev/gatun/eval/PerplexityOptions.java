package dev.gatun.eval;

import java.util.Objects;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * How perplexity is measured. Immutable; start from {@link #of(int)}.
 *
 * @param contextTokens tokens of a window
 * @param scoring which tokens of a window count
 * @param bins number of equal parts of a window that are also reported apart; 0 for none
 * @param windows most windows
 * @param tokenBudget most tokens in all windows together; one window is always measured
 */
public record PerplexityOptions(
    int contextTokens, Scoring scoring, int bins, OptionalInt windows, OptionalLong tokenBudget) {
  private static final int LEAST_TOKENS = 4;

  /** Checks the ranges. */
  public PerplexityOptions {
    Objects.requireNonNull(scoring, "scoring");
    if (contextTokens < LEAST_TOKENS) {
      throw new IllegalArgumentException(
          "a window must have at least %d tokens, but has %d"
              .formatted(LEAST_TOKENS, contextTokens));
    }
    if (bins < 0 || bins > contextTokens) {
      throw new IllegalArgumentException(
          "the number of bins must be from 0 to %d, but is %d".formatted(contextTokens, bins));
    }
    if (windows.isPresent() && windows.getAsInt() < 1) {
      throw new IllegalArgumentException(
          "the number of windows must be at least 1, but is " + windows.getAsInt());
    }
    if (tokenBudget.isPresent() && tokenBudget.getAsLong() < 1) {
      throw new IllegalArgumentException(
          "the token budget must be at least 1, but is " + tokenBudget.getAsLong());
    }
  }

  /**
   * Returns what {@code llama-perplexity} does: the whole text, the second half of each window.
   *
   * @param contextTokens tokens of a window, at least 4
   */
  public static PerplexityOptions of(int contextTokens) {
    return new PerplexityOptions(
        contextTokens, Scoring.secondHalf(), 0, OptionalInt.empty(), OptionalLong.empty());
  }

  /** Returns a copy with another {@link #scoring()}. */
  public PerplexityOptions withScoring(Scoring value) {
    return new PerplexityOptions(contextTokens, value, bins, windows, tokenBudget);
  }

  /** Returns a copy with another number of {@link #bins()}. */
  public PerplexityOptions withBins(int value) {
    return new PerplexityOptions(contextTokens, scoring, value, windows, tokenBudget);
  }

  /** Returns a copy with at most this many windows. */
  public PerplexityOptions withWindows(int value) {
    return new PerplexityOptions(contextTokens, scoring, bins, OptionalInt.of(value), tokenBudget);
  }

  /** Returns a copy with at most this many tokens in all windows together. */
  public PerplexityOptions withTokenBudget(long value) {
    return new PerplexityOptions(contextTokens, scoring, bins, windows, OptionalLong.of(value));
  }
}
