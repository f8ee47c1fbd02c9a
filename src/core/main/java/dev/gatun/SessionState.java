package dev.gatun;

import dev.gatun.kv.KvCacheType;
import dev.gatun.rope.RopeScaling;
import java.lang.foreign.MemorySegment;

/**
 * What a session held when it was saved: its tokens and their cells. In memory; it can be restored
 * into any empty session of a context of the same model and settings, any number of times.
 *
 * <p>Immutable; any thread. The memory is freed when nothing refers to it any more.
 */
public final class SessionState {
  private final Settings settings;
  private final int[] tokens;
  private final int[] positions;
  private final int decoded;
  private final MemorySegment cells;

  /**
   * What must be equal for cells to mean the same.
   *
   * @param model fingerprint of the model file
   * @param scaling position scaling, resolved
   * @param farKeys whether the cells hold keys as a far band sees them, whatever the scaling is now
   * @param keyType type of the keys
   * @param valueType type of the values
   * @param flashAttention decides how values are laid out
   * @param unified whether all sequences share one pool
   * @param allCells whether sliding-window layers keep every cell, as others do
   */
  record Settings(
      String model,
      RopeScaling scaling,
      boolean farKeys,
      KvCacheType keyType,
      KvCacheType valueType,
      FlashAttention flashAttention,
      boolean unified,
      boolean allCells) {
    /** Tells whether single cells of the one can be put into the other. */
    boolean sameCells(Settings other) {
      return model.equals(other.model)
          && scaling.equals(other.scaling)
          && farKeys == other.farKeys
          && keyType == other.keyType
          && valueType == other.valueType;
    }
  }

  SessionState(Settings settings, int[] tokens, int[] positions, int decoded, MemorySegment cells) {
    this.settings = settings;
    this.tokens = tokens;
    this.positions = positions;
    this.decoded = decoded;
    this.cells = cells;
  }

  /** Returns the number of tokens. */
  public int size() {
    return tokens.length;
  }

  /** Returns a copy of the tokens. */
  public int[] tokens() {
    return tokens.clone();
  }

  /** Returns a copy of the tokens' positions, ascending. */
  public int[] positions() {
    return positions.clone();
  }

  /** Returns the bytes of the cells. */
  public long cellBytes() {
    return cells.byteSize();
  }

  Settings settings() {
    return settings;
  }

  int decoded() {
    return decoded;
  }

  MemorySegment cells() {
    return cells;
  }
}
