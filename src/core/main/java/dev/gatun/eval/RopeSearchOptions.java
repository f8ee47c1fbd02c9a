package dev.gatun.eval;

import java.util.Objects;

/**
 * How a table of frequency factors is searched. Immutable; start from {@link #of(int)}.
 *
 * @param lengthTokens length of a text, in tokens, that the table is for; more than the model was
 *     trained on
 * @param evaluations tables that are tried, at least 4
 * @param population tables of a generation, at least 4
 * @param parents best tables so far that a generation descends from, at least 2
 * @param windows most windows of the text that a table is tried on
 * @param heldOutWindows most windows of the rest of the text, for the report
 * @param searchShare share of the text that is searched on, above 0 and below 1
 * @param scoring which tokens of a window count; windows do not overlap
 * @param seed of the random numbers
 */
public record RopeSearchOptions(
    int lengthTokens,
    int evaluations,
    int population,
    int parents,
    int windows,
    int heldOutWindows,
    double searchShare,
    Scoring scoring,
    long seed) {
  private static final int EVALUATIONS = 200;
  private static final int POPULATION = 16;
  private static final int PARENTS = 6;
  private static final int WINDOWS = 8;
  private static final int HELD_OUT_WINDOWS = 32;
  private static final double SEARCH_SHARE = 0.6;

  /** Checks the ranges. */
  public RopeSearchOptions {
    Objects.requireNonNull(scoring, "scoring");
    atLeast("length", lengthTokens, 4);
    atLeast("number of evaluations", evaluations, 4);
    atLeast("population", population, 4);
    atLeast("number of parents", parents, 2);
    atLeast("number of windows", windows, 1);
    atLeast("number of held-out windows", heldOutWindows, 1);
    if (!(searchShare > 0 && searchShare < 1)) {
      throw new IllegalArgumentException(
          "the share of the text to search on must be above 0 and below 1, but is " + searchShare);
    }
    if (scoring instanceof Scoring.Sliding) {
      throw new IllegalArgumentException(
          "a search scores windows that do not overlap; choose the second half or the whole window");
    }
  }

  private static void atLeast(String name, int value, int least) {
    if (value < least) {
      throw new IllegalArgumentException(
          "the %s must be at least %d, but is %d".formatted(name, least, value));
    }
  }

  /**
   * Returns the defaults: 200 tables in generations of 16, each on 8 windows of the first 60 % of
   * the text.
   *
   * @param lengthTokens length of a text, in tokens, that the table is for
   */
  public static RopeSearchOptions of(int lengthTokens) {
    return new RopeSearchOptions(
        lengthTokens,
        EVALUATIONS,
        POPULATION,
        PARENTS,
        WINDOWS,
        HELD_OUT_WINDOWS,
        SEARCH_SHARE,
        Scoring.secondHalf(),
        1);
  }

  /** Returns a copy with another number of {@link #evaluations()}. */
  public RopeSearchOptions withEvaluations(int value) {
    return new RopeSearchOptions(
        lengthTokens,
        value,
        population,
        parents,
        windows,
        heldOutWindows,
        searchShare,
        scoring,
        seed);
  }

  /** Returns a copy with another {@link #population()}. */
  public RopeSearchOptions withPopulation(int value) {
    return new RopeSearchOptions(
        lengthTokens,
        evaluations,
        value,
        parents,
        windows,
        heldOutWindows,
        searchShare,
        scoring,
        seed);
  }

  /** Returns a copy with another number of {@link #parents()}. */
  public RopeSearchOptions withParents(int value) {
    return new RopeSearchOptions(
        lengthTokens,
        evaluations,
        population,
        value,
        windows,
        heldOutWindows,
        searchShare,
        scoring,
        seed);
  }

  /** Returns a copy with another number of {@link #windows()}. */
  public RopeSearchOptions withWindows(int value) {
    return new RopeSearchOptions(
        lengthTokens,
        evaluations,
        population,
        parents,
        value,
        heldOutWindows,
        searchShare,
        scoring,
        seed);
  }

  /** Returns a copy with another number of {@link #heldOutWindows()}. */
  public RopeSearchOptions withHeldOutWindows(int value) {
    return new RopeSearchOptions(
        lengthTokens, evaluations, population, parents, windows, value, searchShare, scoring, seed);
  }

  /** Returns a copy with another {@link #searchShare()}. */
  public RopeSearchOptions withSearchShare(double value) {
    return new RopeSearchOptions(
        lengthTokens,
        evaluations,
        population,
        parents,
        windows,
        heldOutWindows,
        value,
        scoring,
        seed);
  }

  /** Returns a copy with another {@link #scoring()}. */
  public RopeSearchOptions withScoring(Scoring value) {
    return new RopeSearchOptions(
        lengthTokens,
        evaluations,
        population,
        parents,
        windows,
        heldOutWindows,
        searchShare,
        value,
        seed);
  }

  /** Returns a copy with another {@link #seed()}. */
  public RopeSearchOptions withSeed(long value) {
    return new RopeSearchOptions(
        lengthTokens,
        evaluations,
        population,
        parents,
        windows,
        heldOutWindows,
        searchShare,
        scoring,
        value);
  }
}
