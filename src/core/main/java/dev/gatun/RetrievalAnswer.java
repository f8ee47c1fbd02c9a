package dev.gatun;

import java.time.Duration;

/**
 * An answer from a {@link RetrievalMemory}.
 *
 * @param text the answer
 * @param logProbability natural logarithm of its probability: the sum over its tokens
 * @param attempts how many answers were compared
 * @param report what was brought back for this answer, and what all attempts took to place
 * @param answering time of reading the question and answering it, in all attempts
 */
public record RetrievalAnswer(
    String text, double logProbability, int attempts, RetrievalReport report, Duration answering) {
  /** Returns the time of everything. */
  public Duration total() {
    return report.total().plus(answering);
  }
}
