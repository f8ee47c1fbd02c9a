package dev.gatun;

/**
 * What a prefix cache has done and what it holds.
 *
 * @param lookups texts that were looked up
 * @param hits of these, found with at least one token
 * @param tokensLookedUp tokens of those texts
 * @param tokensSaved of these, not read again
 * @param stores texts that were remembered
 * @param nodes pieces of text that are remembered; texts that begin alike share them
 * @param residentTokens tokens whose cells stand in the context; those of sessions are not counted
 * @param residentSequences sequences of the context that hold them
 * @param residentBytes bytes of these cells
 * @param hostBytes bytes of cells in host memory
 * @param diskBytes bytes of cells on disk
 * @param spillsToHost pieces copied from the context to host memory to make room
 * @param spillsToDisk pieces written from host memory to disk to make room
 * @param loadBacks pieces brought back from host memory or disk
 * @param evictions pieces forgotten to make room
 * @param failures pieces lost to errors of the disk: not written, or not read back as written
 */
public record PrefixCacheStats(
    long lookups,
    long hits,
    long tokensLookedUp,
    long tokensSaved,
    long stores,
    int nodes,
    long residentTokens,
    int residentSequences,
    long residentBytes,
    long hostBytes,
    long diskBytes,
    long spillsToHost,
    long spillsToDisk,
    long loadBacks,
    long evictions,
    long failures) {
  /** Returns the share of lookups that found something, 0 to 1. */
  public double hitRate() {
    return lookups == 0 ? 0 : (double) hits / lookups;
  }

  /** Returns the share of the tokens looked up that need not be read again, 0 to 1. */
  public double savedShare() {
    return tokensLookedUp == 0 ? 0 : (double) tokensSaved / tokensLookedUp;
  }
}
