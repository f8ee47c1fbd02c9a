package dev.gatun;

import java.lang.foreign.MemorySegment;

/**
 * Is handed the logits after each token of {@link LlamaSession#evaluate}, in order.
 *
 * <p>It runs inside the call, on its thread: it must not use the session or its context.
 */
@FunctionalInterface
public interface LogitsConsumer {
  /**
   * Takes the logits after one token.
   *
   * @param index of that token in the text that the session was given, which is no position of the
   *     rotation: its index in {@link LlamaSession#tokens()} plus the tokens that an overflow
   *     policy has dropped, less those that it inserted; the logits are about the token after it
   * @param logits float32, {@code [vocabularySize]}, in place, read-only; valid only during the
   *     call
   */
  void accept(int index, MemorySegment logits);
}
