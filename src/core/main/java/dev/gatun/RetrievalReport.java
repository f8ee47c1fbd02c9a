package dev.gatun;

import dev.gatun.kv.TokenRange;
import java.time.Duration;
import java.util.List;

/**
 * What bringing back pages for a question took.
 *
 * @param pages pages of the whole text
 * @param candidates pages that the model itself looked at
 * @param rounds decodes of the question behind candidates
 * @param recalled what was brought back, as ranges of tokens of the text, ascending
 * @param recalledPages number of pages brought back
 * @param recalledTokens number of their tokens
 * @param draft the beginning of an answer without the text that was searched with; may be empty
 * @param residentCells most cells in use at a time until now
 * @param searching time of drafting and of judging all pages by their keys
 * @param looking time in which the model looked at candidates
 * @param placing time of bringing the pages into the session
 */
public record RetrievalReport(
    int pages,
    int candidates,
    int rounds,
    List<TokenRange> recalled,
    int recalledPages,
    int recalledTokens,
    String draft,
    int residentCells,
    Duration searching,
    Duration looking,
    Duration placing) {
  /** Copies the list. */
  public RetrievalReport {
    recalled = List.copyOf(recalled);
  }

  /** Returns the time of everything. */
  public Duration total() {
    return searching.plus(looking).plus(placing);
  }
}
