package dev.gatun.kv;

import java.util.List;

/**
 * Tells what was dropped to make room.
 *
 * @param policy the policy that did it
 * @param dropped ranges of the tokens that the session held before, by their index there, in order
 * @param tokens the dropped token ids, in the order of the text
 * @param inserted token ids that took their place, as a summary; usually empty
 * @param heldTokens tokens that the session holds now
 */
public record OverflowEvent(
    OverflowPolicy policy, List<TokenRange> dropped, int[] tokens, int[] inserted, int heldTokens) {
  /** Copies the list. */
  public OverflowEvent {
    dropped = List.copyOf(dropped);
  }
}
