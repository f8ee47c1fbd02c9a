package dev.gatun.kv;

import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * Which tokens, and which pairs of neighbouring tokens, stand on which pages. A page is judged by
 * what it shares with a question: each token and pair counts once, and the more the fewer pages
 * have it. Pairs make words of names that take several tokens.
 *
 * <p>One thread.
 *
 * <p>Sources: Spärck Jones, "A statistical interpretation of term specificity and its application
 * in retrieval", 1972: inverse document frequency; Salton, Buckley, "Term-weighting approaches in
 * automatic text retrieval", 1988: the product of two vectors so weighted.
 */
public final class PageWords {
  private final Map<Long, Pages> pagesOf = new HashMap<>();
  private int pages;

  /** Makes an empty list. */
  public PageWords() {}

  /** An ascending list of page numbers. */
  private static final class Pages {
    private int[] numbers = new int[2];
    private int size;

    void add(int page) {
      if (size > 0 && numbers[size - 1] == page) {
        return;
      }
      if (size == numbers.length) {
        numbers = Arrays.copyOf(numbers, size * 2);
      }
      numbers[size++] = page;
    }
  }

  /** Returns how many pages were added. */
  public int pages() {
    return pages;
  }

  /** Adds a page. */
  public void add(int[] tokens) {
    for (int i = 0; i < tokens.length; i++) {
      add(token(tokens[i]));
      if (i > 0) {
        add(pair(tokens[i - 1], tokens[i]));
      }
    }
    pages++;
  }

  private void add(long term) {
    pagesOf.computeIfAbsent(term, _ -> new Pages()).add(pages);
  }

  /**
   * Judges every page.
   *
   * @param question token ids
   * @return for each page the sum of ln²(pages / pages that have it) over the tokens and pairs that
   *     it shares with the question; 0 where it shares none
   */
  public float[] scores(int[] question) {
    Set<Long> terms = new HashSet<>();
    for (int i = 0; i < question.length; i++) {
      terms.add(token(question[i]));
      if (i > 0) {
        terms.add(pair(question[i - 1], question[i]));
      }
    }
    float[] scores = new float[pages];
    for (long term : terms) {
      Pages having = pagesOf.get(term);
      if (having != null) {
        float weight = (float) Math.log((double) pages / having.size);
        for (int i = 0; i < having.size; i++) {
          scores[having.numbers[i]] += weight * weight;
        }
      }
    }
    return scores;
  }

  private static long token(int id) {
    return id;
  }

  private static long pair(int first, int second) {
    return (first + 1L) << 32 | second;
  }
}
