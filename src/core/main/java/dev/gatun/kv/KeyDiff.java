package dev.gatun.kv;

/**
 * Keeps the keys that differ most from the others: the smallest cosine with the mean of the
 * normalised keys, as the mean over layers and heads. Needs no query and no attention.
 *
 * <p>Source: Park et al., "KeyDiff", 2025, equation 6, which takes the keys as they are in the
 * cache. Before the rotation they tell more of what a token is about.
 *
 * @param unrotated whether the rotation is taken back first
 * @param spans which neighbours stay too
 */
public record KeyDiff(boolean unrotated, Spans spans) implements EvictionPolicy {
  @Override
  public String name() {
    return EvictionSpec.name(unrotated ? "plaindiff" : "keydiff", spans);
  }

  @Override
  public EvictionNeeds needs() {
    return EvictionNeeds.ofKeys();
  }

  @Override
  public float[] score(EvictionView view) {
    int n = view.size();
    float[] scores = new float[n];
    for (int layer = 0; layer < view.layers(); layer++) {
      Keys keys = unrotated ? Keys.unrotated(view, layer) : Keys.of(view, layer);
      for (int head = 0; head < view.keyHeads(); head++) {
        double[] anchor = new double[view.headSize()];
        for (int i = 0; i < n; i++) {
          double norm = Math.max(keys.norm(i, head), Double.MIN_NORMAL);
          for (int e = 0; e < anchor.length; e++) {
            anchor[e] += keys.value(i, head, e) / norm / n;
          }
        }
        double length = 0;
        for (double a : anchor) {
          length += a * a;
        }
        length = Math.max(Math.sqrt(length), Double.MIN_NORMAL);
        for (int i = 0; i < n; i++) {
          double norm = Math.max(keys.norm(i, head), Double.MIN_NORMAL);
          scores[i] -= (float) (keys.dot(i, head, anchor) / norm / length);
        }
      }
    }
    return scores;
  }
}
