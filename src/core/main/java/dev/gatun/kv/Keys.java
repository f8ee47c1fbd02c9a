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

  /**
   * Returns the keys of a layer as they were before the rotation. Under two bands a key's far
   * position stands for it, whose rotation stays: it is the same for all keys, or nearly.
   */
  static Keys unrotated(EvictionView view, int layer) {
    Keys keys = of(view, layer);
    QueryTurn turn = view.turn();
    if (turn.farPosition().isPresent()) {
      return keys;
    }
    float[] values = keys.values.clone();
    int pairs = turn.inverseFrequencies().length;
    for (int token = 0; token < view.size(); token++) {
      for (int pair = 0; pair < pairs; pair++) {
        double angle = view.position(token) * turn.inverseFrequencies()[pair];
        double cos = Math.cos(angle);
        double sin = Math.sin(angle);
        int a = turn.adjacent() ? 2 * pair : pair;
        int b = turn.adjacent() ? a + 1 : a + pairs;
        for (int head = 0; head < keys.heads; head++) {
          int at = (token * keys.heads + head) * keys.headSize;
          double x = values[at + a];
          double y = values[at + b];
          values[at + a] = (float) (x * cos + y * sin);
          values[at + b] = (float) (y * cos - x * sin);
        }
      }
    }
    return new Keys(values, keys.heads, keys.headSize);
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
