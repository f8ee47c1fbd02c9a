package dev.gatun.kv;

import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.stream.IntStream;

/** Turns scores into the set of tokens that stay. */
public final class EvictionSelection {
  private EvictionSelection() {}

  /**
   * Selects. First what is always kept: sinks, recent tokens, pinned ranges. Then the token of the
   * highest score with its span, and so on, until the budget is used up; of a span that no longer
   * fits the tokens nearest to its best one.
   *
   * @param view the tokens
   * @param scores one for each token; not a number counts as the lowest
   * @param spans which neighbours stay with a token
   * @param options budget and what is always kept
   * @return bits of the tokens that stay, by index; exactly the budget, or all tokens if they are
   *     fewer
   * @throws IllegalArgumentException if there is not one score a token, or what is always kept
   *     needs more than the budget
   */
  public static BitSet select(
      EvictionView view, float[] scores, Spans spans, EvictionOptions options) {
    int n = view.size();
    if (scores.length != n) {
      throw new IllegalArgumentException(
          "the policy returned %,d scores for %,d tokens; return one for each"
              .formatted(scores.length, n));
    }
    int budget = options.budgetOf(n);
    BitSet keep = new BitSet(n);
    if (budget >= n) {
      keep.set(0, n);
      return keep;
    }
    keepAlways(view, options, keep);
    int left = budget - keep.cardinality();
    if (left < 0) {
      throw new IllegalArgumentException(
          "sinks, recent tokens and pinned ranges are %,d tokens and the budget is %,d; raise it or pin less"
              .formatted(keep.cardinality(), budget));
    }
    int[] sentence = spans.withinSentence() || spans.shared() ? Sentences.of(view) : new int[n];
    float[] ranks = spans.shared() ? means(scores, sentence) : scores;
    int[] limits = spans.withinSentence() ? sentence : new int[n];
    Iterable<Integer> order =
        IntStream.range(0, n)
                .boxed()
                .sorted(Comparator.comparingDouble((Integer i) -> -rank(ranks[i])))
            ::iterator;
    for (int best : order) {
      if (left == 0) {
        break;
      }
      left -= keepSpan(best, limits, spans, keep, left);
    }
    return keep;
  }

  /** Gives each token the mean of its sentence. */
  private static float[] means(float[] scores, int[] sentence) {
    float[] means = new float[scores.length];
    for (int from = 0, to; from < scores.length; from = to) {
      double sum = 0;
      for (to = from; to < scores.length && sentence[to] == sentence[from]; to++) {
        sum += scores[to];
      }
      Arrays.fill(means, from, to, (float) (sum / (to - from)));
    }
    return means;
  }

  private static double rank(float score) {
    return Float.isNaN(score) ? Double.NEGATIVE_INFINITY : score;
  }

  private static void keepAlways(EvictionView view, EvictionOptions options, BitSet keep) {
    int n = view.size();
    keep.set(0, Math.min(n, options.sinks()));
    keep.set(Math.max(0, n - options.recent()), n);
    for (TokenRange pin : options.pinned()) {
      for (int i = 0; i < n; i++) {
        if (view.position(i) >= pin.from() && view.position(i) < pin.to()) {
          keep.set(i);
        }
      }
    }
  }

  /** Keeps a token and its span, nearest first; returns how many tokens that added. */
  private static int keepSpan(int best, int[] sentence, Spans spans, BitSet keep, int most) {
    int added = 0;
    boolean up = true;
    boolean down = true;
    for (int distance = 0; (up || down) && added < most; distance++) {
      int next = best + distance;
      up = up && distance <= spans.after() && next < sentence.length;
      up = up && sentence[next] == sentence[best];
      if (up && !keep.get(next)) {
        keep.set(next);
        added++;
      }
      int previous = best - distance;
      down = down && distance <= spans.before() && previous >= 0;
      down = down && sentence[previous] == sentence[best];
      if (down && added < most && !keep.get(previous)) {
        keep.set(previous);
        added++;
      }
    }
    return added;
  }
}
