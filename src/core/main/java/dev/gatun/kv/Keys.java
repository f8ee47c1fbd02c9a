package dev.gatun.kv;

/** The keys of one layer. */
final class Keys {
  private final float[] values;
  private final int heads;
  private final int headSize;

  private Keys(float[] values, int heads, int headSize) {
    this.values = values;
    this.heads = heads;
    this.headSize = headSize;
  }

  static Keys of(EvictionView view, int layer) {
    return new Keys(view.keys(layer), view.keyHeads(), view.headSize());
  }

  float value(int token, int head, int element) {
    return values[(token * heads + head) * headSize + element];
  }

  double norm(int token, int head) {
    double sum = 0;
    for (int e = 0; e < headSize; e++) {
      double v = value(token, head, e);
      sum += v * v;
    }
    return Math.sqrt(sum);
  }

  double dot(int token, int head, double[] with) {
    double sum = 0;
    for (int e = 0; e < headSize; e++) {
      sum += value(token, head, e) * with[e];
    }
    return sum;
  }
}
