package dev.gatun.kv;

import java.lang.foreign.MemorySegment;

/**
 * The part of a sequence's memory that cannot be cut back, as it was earlier: the cells of
 * sliding-window layers or a recurrent state.
 *
 * <p>Immutable; any thread.
 *
 * @param tokens how many tokens had been read
 * @param cells {@code llama_state_seq_get_data_ext} with {@code
 *     LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY}; read-only, of an automatic arena
 */
public record StateCheckpoint(int tokens, MemorySegment cells) {
  /** Checks the count and makes the cells read-only. */
  public StateCheckpoint {
    if (tokens < 1) {
      throw new IllegalArgumentException(
          "a checkpoint needs at least one token, not %d".formatted(tokens));
    }
    cells = cells.asReadOnly();
  }

  /** Returns its size in bytes. */
  public long bytes() {
    return cells.byteSize();
  }
}
