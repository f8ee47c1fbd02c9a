package dev.gatun.kv;

import java.time.Duration;
import java.util.List;

/**
 * What an eviction did.
 *
 * @param policy name of the policy
 * @param tokensBefore tokens held before
 * @param tokensAfter tokens held now
 * @param dropped ranges of the dropped tokens, by their index before, ascending
 * @param freedBytes bytes of the freed cells: free for other tokens of the context, not given back
 *     to the system
 * @param readAgain tokens that were decoded to observe their attention, drafted ones among them
 * @param time how long it took, observation included
 */
public record EvictionReport(
    String policy,
    int tokensBefore,
    int tokensAfter,
    List<TokenRange> dropped,
    long freedBytes,
    int readAgain,
    Duration time) {
  /** Copies the list. */
  public EvictionReport {
    dropped = List.copyOf(dropped);
  }
}
