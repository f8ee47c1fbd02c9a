package dev.gatun.eval;

import dev.gatun.RetrievalReport;
import java.time.Duration;

/**
 * One question to a retrieval memory.
 *
 * @param question what was asked
 * @param expected what a right answer holds
 * @param answer what was answered
 * @param right whether the answer holds it
 * @param recalled whether the page with the fact was brought back
 * @param at number of the fact's first token in the text
 * @param report what bringing the pages back took
 * @param answering time of reading the question and answering it
 */
public record MemoryAnswer(
    String question,
    String expected,
    String answer,
    boolean right,
    boolean recalled,
    int at,
    RetrievalReport report,
    Duration answering) {
  /** Returns the time from question to answer. */
  public Duration total() {
    return report.total().plus(answering);
  }
}
