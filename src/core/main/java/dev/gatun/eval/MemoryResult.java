package dev.gatun.eval;

import java.time.Duration;
import java.util.List;
import java.util.OptionalLong;

/**
 * What a retrieval memory has found.
 *
 * @param tokens tokens of the text
 * @param pages its pages
 * @param answers the answers, one for each hidden fact
 * @param reading time of reading the text
 * @param residentCells most cells in use at a time, answers included
 * @param memoryBytes bytes of pages and their keys in memory
 * @param fileBytes bytes of pages and their keys in the file
 * @param keyBytes bytes of the pages' attention keys alone
 * @param residentGrowth by how much the resident memory of the process has grown from before the
 *     first token to after the last answer; empty where the system does not tell
 */
public record MemoryResult(
    int tokens,
    int pages,
    List<MemoryAnswer> answers,
    Duration reading,
    int residentCells,
    long memoryBytes,
    long fileBytes,
    long keyBytes,
    OptionalLong residentGrowth) {
  /** Copies the list. */
  public MemoryResult {
    answers = List.copyOf(answers);
  }

  /** Returns the number of right answers. */
  public int found() {
    return (int) answers.stream().filter(MemoryAnswer::right).count();
  }

  /** Returns the number of facts whose page was brought back. */
  public int recalled() {
    return (int) answers.stream().filter(MemoryAnswer::recalled).count();
  }

  /** Returns the mean time from question to answer, in milliseconds. */
  public double meanMillis() {
    return answers.stream().mapToDouble(a -> a.found().total().toNanos() / 1e6).average().orElse(0);
  }

  /** Returns the longest time from question to answer, in milliseconds. */
  public double maxMillis() {
    return answers.stream().mapToDouble(a -> a.found().total().toNanos() / 1e6).max().orElse(0);
  }
}
