package dev.gatun;

/**
 * How chunks become one text.
 *
 * <p>Immutable; any thread.
 *
 * @param recompute tokens at the beginning of each chunk that are read again where they come to
 *     stand, so that they know what is before them (EPIC's AttnLink)
 */
public record ChunkOptions(int recompute) {
  /** Checks the number. */
  public ChunkOptions {
    if (recompute < 0) {
      throw new IllegalArgumentException("recompute must not be negative: " + recompute);
    }
  }

  /** Returns the defaults: 8 tokens. */
  public static ChunkOptions defaults() {
    return new ChunkOptions(8);
  }

  /** Returns these options with another number of tokens that are read again. */
  public ChunkOptions withRecompute(int tokens) {
    return new ChunkOptions(tokens);
  }
}
