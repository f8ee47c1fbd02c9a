package dev.gatun.kv;

import java.lang.foreign.MemorySegment;
import java.time.Instant;
import java.util.List;

/**
 * Everything that a state file holds.
 *
 * <p>The arrays are not copied: whoever makes one hands them over.
 *
 * @param fingerprint of the model, {@link dev.gatun.gguf.GgufFile#fingerprint()}
 * @param modelName the model's name, for people
 * @param settings what must be equal for the cells to mean the same
 * @param tokens token ids
 * @param positions position of each token, ascending
 * @param decoded how many of the tokens have cells; those behind are read again
 * @param cells {@code llama_state_seq_get_data}; empty when no token has cells
 * @param checkpoints earlier states of what cannot be cut back, by ascending number of tokens
 * @param label the user's words; may be empty
 * @param created when it was saved
 */
public record StateContent(
    String fingerprint,
    String modelName,
    StateSettings settings,
    int[] tokens,
    int[] positions,
    int decoded,
    MemorySegment cells,
    List<StateCheckpoint> checkpoints,
    String label,
    Instant created) {

  /** Checks that the numbers agree. */
  public StateContent {
    if (positions.length != tokens.length || decoded < 0 || decoded > tokens.length) {
      throw new IllegalArgumentException(
          "%d tokens, %d positions and %d tokens with cells do not agree"
              .formatted(tokens.length, positions.length, decoded));
    }
    if ((decoded == 0) != (cells.byteSize() == 0)) {
      throw new IllegalArgumentException(
          "%d tokens with cells and %d bytes of cells do not agree"
              .formatted(decoded, cells.byteSize()));
    }
    int before = 0;
    for (StateCheckpoint checkpoint : checkpoints) {
      if (checkpoint.tokens() <= before || checkpoint.tokens() > decoded) {
        throw new IllegalArgumentException(
            "a checkpoint after %d of %d tokens does not fit behind one after %d"
                .formatted(checkpoint.tokens(), decoded, before));
      }
      before = checkpoint.tokens();
    }
    checkpoints = List.copyOf(checkpoints);
    cells = cells.asReadOnly();
  }
}
