package dev.gatun.kv;

import java.util.Arrays;

/** Brings the numbers of all layers and heads together. */
final class Heads {
  private Heads() {}

  /**
   * Returns the maximum over layers and heads of {@code a - b}.
   *
   * @param b as {@code a}, or empty for zeros
   */
  static float[] maximumOfDifference(float[][][] a, float[][][] b, int tokens) {
    float[] best = new float[tokens];
    Arrays.fill(best, Float.NEGATIVE_INFINITY);
    for (int layer = 0; layer < a.length; layer++) {
      for (int head = 0; head < a[layer].length; head++) {
        for (int i = 0; i < tokens; i++) {
          float less = b.length == 0 ? 0 : b[layer][head][i];
          best[i] = Math.max(best[i], a[layer][head][i] - less);
        }
      }
    }
    return best;
  }
}
