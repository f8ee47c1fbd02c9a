package dev.gatun;

import dev.gatun.kv.StateSettings;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A piece of text that was read once, alone behind a {@link ChunkStore}'s prefix: its tokens and
 * their cells. It can be put at any place of any number of sessions of the same model and settings.
 *
 * <p>Immutable; any thread. The cells live in the store's memory.
 */
public final class CachedChunk {
  private final StateSettings settings;
  private final int[] prefix;
  private final int[] tokens;
  private final int[] positions;
  private final MemorySegment rows;
  private final boolean foreign;

  CachedChunk(
      StateSettings settings,
      int[] prefix,
      int[] tokens,
      int[] positions,
      MemorySegment rows,
      boolean foreign) {
    this.settings = settings;
    this.prefix = prefix;
    this.tokens = tokens;
    this.positions = positions;
    this.rows = rows;
    this.foreign = foreign;
  }

  /** Returns the number of tokens. */
  public int size() {
    return tokens.length;
  }

  /** Returns a copy of the tokens. */
  public int[] tokens() {
    return tokens.clone();
  }

  /** Returns the bytes of the cells. */
  public long cellBytes() {
    return rows.byteSize();
  }

  StateSettings settings() {
    return settings;
  }

  int[] prefix() {
    return prefix;
  }

  /** Positions at which the tokens were read. */
  int[] positions() {
    return positions;
  }

  /**
   * Returns the rows for a native call: memory that its owner can free at any time is copied.
   *
   * @throws IllegalStateException if it was freed
   */
  MemorySegment rows(Arena call) {
    if (!foreign) {
      return rows;
    }
    return call.allocate(rows.byteSize(), 32).copyFrom(rows);
  }
}
