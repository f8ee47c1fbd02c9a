package dev.gatun.kv;

import java.util.ArrayDeque;

/** Spreads scores to neighbours. */
final class Pooling {
  private Pooling() {}

  /**
   * Returns for each token the maximum over the tokens around it.
   *
   * @param width how many tokens, itself among them; of an even number one more before it
   */
  static float[] maximum(float[] scores, int width) {
    int before = width / 2;
    int after = width - 1 - before;
    float[] pooled = new float[scores.length];
    ArrayDeque<Integer> best = new ArrayDeque<>(); // indexes, scores falling
    int next = 0;
    for (int i = 0; i < scores.length; i++) {
      for (; next < scores.length && next <= i + after; next++) {
        while (!best.isEmpty() && scores[best.getLast()] <= scores[next]) {
          best.removeLast();
        }
        best.addLast(next);
      }
      while (best.getFirst() < i - before) {
        best.removeFirst();
      }
      pooled[i] = scores[best.getFirst()];
    }
    return pooled;
  }
}
