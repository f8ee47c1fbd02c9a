package dev.gatun;

import java.nio.file.Path;
import java.util.Objects;
import java.util.Optional;

/**
 * How a {@link RetrievalMemory} reads, searches and recalls. Immutable; start from {@link
 * #defaults()}.
 *
 * @param residentTokens most cells that the memory and the session it recalls into have in the
 *     cache at a time: what stands before, pages, question and answer
 * @param recallTokens most tokens of pages brought back for one question; fewer when {@code
 *     residentTokens} does not leave as many beside the question. What is left is for the answer
 * @param segmentTokens most new tokens that are read at once, behind the tokens that stand before
 *     everything and the overlap; all of it together should be within the trained length
 * @param overlapTokens tokens before a segment that are read again with it, so that its first
 *     tokens know what they follow
 * @param pageTokens most tokens of a page; a page ends with the last sentence that fits
 * @param keys what pages are found by
 * @param candidateTokens most tokens of pages that the model itself looks at for one question, a
 *     cacheful at a time; 0: the keys alone decide
 * @param draftTokens most tokens of the answer that the model gives without the text; what comes
 *     before its first guess is searched with beside the question. 0: the question alone
 * @param neighbours pages brought back on each side of a found page
 * @param attempts how many answers {@link RetrievalMemory#ask} compares: from all recalled pages,
 *     from half as many tokens of the best ones, from a quarter, and so on
 * @param file new file for the pages and their keys, deleted when the memory is closed; empty: they
 *     stay in memory
 */
public record RetrievalOptions(
    int residentTokens,
    int recallTokens,
    int segmentTokens,
    int overlapTokens,
    int pageTokens,
    Keys keys,
    int candidateTokens,
    int draftTokens,
    int neighbours,
    int attempts,
    Optional<Path> file) {

  /** What pages are found by, before the model itself looks at the best of them. */
  public enum Keys {
    /**
     * How well the model's queries could fit the page's attention keys: {@link
     * dev.gatun.kv.PageBounds}. Knows meaning as the model does.
     */
    ATTENTION,
    /** The tokens that page and question share: {@link dev.gatun.kv.PageWords}. */
    WORDS,
    /** The best pages of both in turn. */
    BOTH
  }

  private static final RetrievalOptions DEFAULTS =
      new RetrievalOptions(2048, 512, 192, 32, 64, Keys.BOTH, 8192, 24, 0, 4, Optional.empty());

  /** Checks the ranges. */
  public RetrievalOptions {
    Objects.requireNonNull(keys, "keys");
    Objects.requireNonNull(file, "file");
    atLeast("pageTokens", pageTokens, 4);
    atLeast("segmentTokens", segmentTokens, pageTokens);
    atLeast("overlapTokens", overlapTokens, 0);
    atLeast("recallTokens", recallTokens, pageTokens);
    atLeast("residentTokens", residentTokens, pageTokens);
    atLeast("candidateTokens", candidateTokens, 0);
    atLeast("draftTokens", draftTokens, 0);
    atLeast("neighbours", neighbours, 0);
    atLeast("attempts", attempts, 1);
  }

  /**
   * Returns the defaults: 2,048 resident cells of which pages take 512, pages of up to 64 tokens
   * read 192 at a time, found by both kinds of keys among 8,192 tokens of candidates, four attempts
   * at an answer, in memory.
   */
  public static RetrievalOptions defaults() {
    return DEFAULTS;
  }

  /** Returns a copy with another {@link #residentTokens()}. */
  public RetrievalOptions withResidentTokens(int value) {
    return new RetrievalOptions(
        value,
        recallTokens,
        segmentTokens,
        overlapTokens,
        pageTokens,
        keys,
        candidateTokens,
        draftTokens,
        neighbours,
        attempts,
        file);
  }

  /** Returns a copy with another {@link #recallTokens()}. */
  public RetrievalOptions withRecallTokens(int value) {
    return new RetrievalOptions(
        residentTokens,
        value,
        segmentTokens,
        overlapTokens,
        pageTokens,
        keys,
        candidateTokens,
        draftTokens,
        neighbours,
        attempts,
        file);
  }

  /** Returns a copy with other {@link #segmentTokens()} and {@link #overlapTokens()}. */
  public RetrievalOptions withSegments(int tokens, int overlap) {
    return new RetrievalOptions(
        residentTokens,
        recallTokens,
        tokens,
        overlap,
        pageTokens,
        keys,
        candidateTokens,
        draftTokens,
        neighbours,
        attempts,
        file);
  }

  /** Returns a copy with another {@link #pageTokens()}. */
  public RetrievalOptions withPageTokens(int value) {
    return new RetrievalOptions(
        residentTokens,
        recallTokens,
        segmentTokens,
        overlapTokens,
        value,
        keys,
        candidateTokens,
        draftTokens,
        neighbours,
        attempts,
        file);
  }

  /** Returns a copy with other {@link #keys()}. */
  public RetrievalOptions withKeys(Keys value) {
    return new RetrievalOptions(
        residentTokens,
        recallTokens,
        segmentTokens,
        overlapTokens,
        pageTokens,
        value,
        candidateTokens,
        draftTokens,
        neighbours,
        attempts,
        file);
  }

  /** Returns a copy with another {@link #candidateTokens()}. */
  public RetrievalOptions withCandidateTokens(int value) {
    return new RetrievalOptions(
        residentTokens,
        recallTokens,
        segmentTokens,
        overlapTokens,
        pageTokens,
        keys,
        value,
        draftTokens,
        neighbours,
        attempts,
        file);
  }

  /** Returns a copy with another {@link #draftTokens()}. */
  public RetrievalOptions withDraftTokens(int value) {
    return new RetrievalOptions(
        residentTokens,
        recallTokens,
        segmentTokens,
        overlapTokens,
        pageTokens,
        keys,
        candidateTokens,
        value,
        neighbours,
        attempts,
        file);
  }

  /** Returns a copy with another {@link #neighbours()}. */
  public RetrievalOptions withNeighbours(int value) {
    return new RetrievalOptions(
        residentTokens,
        recallTokens,
        segmentTokens,
        overlapTokens,
        pageTokens,
        keys,
        candidateTokens,
        draftTokens,
        value,
        attempts,
        file);
  }

  /** Returns a copy with another {@link #attempts()}. */
  public RetrievalOptions withAttempts(int value) {
    return new RetrievalOptions(
        residentTokens,
        recallTokens,
        segmentTokens,
        overlapTokens,
        pageTokens,
        keys,
        candidateTokens,
        draftTokens,
        neighbours,
        value,
        file);
  }

  /** Returns a copy that keeps the pages in a new file. */
  public RetrievalOptions withFile(Path value) {
    return new RetrievalOptions(
        residentTokens,
        recallTokens,
        segmentTokens,
        overlapTokens,
        pageTokens,
        keys,
        candidateTokens,
        draftTokens,
        neighbours,
        attempts,
        Optional.of(value));
  }

  private static void atLeast(String name, int value, int least) {
    if (value < least) {
      throw new IllegalArgumentException(
          "%s must be at least %,d, but is %,d".formatted(name, least, value));
    }
  }
}
