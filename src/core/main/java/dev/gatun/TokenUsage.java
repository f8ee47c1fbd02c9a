package dev.gatun;

import java.time.Duration;

/**
 * What a generation cost.
 *
 * @param promptTokens tokens that the session held when the first token was sampled
 * @param cachedTokens those of them that were in the KV cache before and were not read again
 * @param completionTokens generated tokens
 * @param droppedTokens tokens that an overflow policy dropped since the generation was asked for
 * @param promptTime time spent reading the prompt
 * @param generationTime time spent decoding and sampling
 */
public record TokenUsage(
    int promptTokens,
    int cachedTokens,
    int completionTokens,
    long droppedTokens,
    Duration promptTime,
    Duration generationTime) {

  /** Returns the tokens read per second of prompt time; 0 when nothing was read. */
  public double promptTokensPerSecond() {
    return rate(promptTokens - cachedTokens, promptTime);
  }

  /** Returns the tokens generated per second of generation time; 0 when nothing was generated. */
  public double completionTokensPerSecond() {
    return rate(completionTokens, generationTime);
  }

  private static double rate(int tokens, Duration time) {
    return tokens == 0 || time.isZero() ? 0 : tokens * 1e9 / time.toNanos();
  }
}
