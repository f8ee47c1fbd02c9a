package dev.gatun.kv;

/**
 * A range of tokens, by their number.
 *
 * @param from first token
 * @param to end of the range, not in it
 */
public record TokenRange(int from, int to) {
  /** Checks the order. */
  public TokenRange {
    if (from < 0 || to < from) {
      throw new IllegalArgumentException("a range cannot go from %d to %d".formatted(from, to));
    }
  }

  /** Returns the number of tokens. */
  public int size() {
    return to - from;
  }
}
