package dev.gatun.kv;

import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * What an eviction did.
 *
 * @param policy name of the policy
 * @param tokensBefore tokens held before
 * @param tokensAfter tokens held now
 * @param dropped ranges of the dropped tokens, by their index before, ascending
 * @param freedBytes bytes of the freed cells: 0 where Gatun does not know the layout; free for
 *     other tokens of the context; given back to the system only by a compaction
 * @param readAgain tokens that were decoded to observe their attention, drafted ones among them
 * @param compaction what a compaction gained, if one was done
 * @param time how long it took, observation included
 */
public record EvictionReport(
    String policy,
    int tokensBefore,
    int tokensAfter,
    List<TokenRange> dropped,
    long freedBytes,
    int readAgain,
    Optional<Compaction> compaction,
    Duration time) {
  /** Copies the list. */
  public EvictionReport {
    dropped = List.copyOf(dropped);
  }
}
