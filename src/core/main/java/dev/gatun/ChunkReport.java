package dev.gatun;

import java.time.Duration;

/**
 * What putting chunks together took.
 *
 * @param reusedTokens tokens whose cells were taken as they were stored
 * @param recomputedTokens tokens that were read again
 * @param placing time for bringing the cells to their positions
 * @param recomputing time for reading tokens again
 */
public record ChunkReport(
    int reusedTokens, int recomputedTokens, Duration placing, Duration recomputing) {
  /** Returns the whole time. */
  public Duration total() {
    return placing.plus(recomputing);
  }
}
