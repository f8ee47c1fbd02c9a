package dev.gatun.kv;

import java.util.Arrays;
import java.util.BitSet;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/**
 * Judges pages by the tokens, and the pairs of neighbouring tokens, that they share with a
 * question: each counts once, and the more the fewer pages have it. Pairs make words of names that
 * take several tokens.
 *
 * <p>The pages are read through for each question. That takes some milliseconds for a million
 * tokens; an index would take several times the memory of the tokens themselves.
 *
 * <p>Sources: Spärck Jones, "A statistical interpretation of term specificity and its application
 * in retrieval", 1972: inverse document frequency; Salton, Buckley, "Term-weighting approaches in
 * automatic text retrieval", 1988: the product of two vectors so weighted.
 */
public final class PageWords {
  private PageWords() {}

  /**
   * Judges every page.
   *
   * @param question token ids
   * @param pages how many pages there are
   * @param tokensOf the token ids of each
   * @return for each page the sum of ln²(pages / pages that have it) over the tokens and pairs that
   *     it shares with the question; 0 where it shares none
   */
  public static float[] scores(int[] question, int pages, IntFunction<int[]> tokensOf) {
    BitSet asked = new BitSet();
    Arrays.stream(question).forEach(asked::set);
    long[] terms = terms(question);
    BitSet[] having = new BitSet[terms.length];
    Arrays.setAll(having, _ -> new BitSet());
    for (int page = 0; page < pages; page++) {
      int[] tokens = tokensOf.apply(page);
      for (int i = 0; i < tokens.length; i++) {
        if (asked.get(tokens[i])) {
          having[Arrays.binarySearch(terms, tokens[i])].set(page);
          int pair = i == 0 ? -1 : Arrays.binarySearch(terms, pair(tokens[i - 1], tokens[i]));
          if (pair >= 0) {
            having[pair].set(page);
          }
        }
      }
    }
    float[] scores = new float[pages];
    for (BitSet term : having) {
      float weight = (float) Math.log((double) pages / term.cardinality());
      for (int page = term.nextSetBit(0); page >= 0; page = term.nextSetBit(page + 1)) {
        scores[page] += weight * weight;
      }
    }
    return scores;
  }

  /** Returns the tokens and pairs of a text, ascending, each once. */
  private static long[] terms(int[] tokens) {
    return LongStream.concat(
            Arrays.stream(tokens).asLongStream(),
            IntStream.range(1, tokens.length).mapToLong(i -> pair(tokens[i - 1], tokens[i])))
        .sorted()
        .distinct()
        .toArray();
  }

  private static long pair(int first, int second) {
    return (first + 1L) << 32 | second;
  }
}
