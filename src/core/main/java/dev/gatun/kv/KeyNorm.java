package dev.gatun.kv;

/**
 * Keeps the keys with a small norm, which attention favours: the mean over layers and heads. Needs
 * no query and no attention.
 *
 * <p>Source: Devoto et al., "A Simple and Effective L2 Norm-Based Strategy for KV Cache
 * Compression", 2024.
 *
 * @param spans which neighbours stay too
 */
public record KeyNorm(Spans spans) implements EvictionPolicy {
  @Override
  public String name() {
    return EvictionSpec.name("keynorm", spans);
  }

  @Override
  public EvictionNeeds needs() {
    return EvictionNeeds.ofKeys();
  }

  @Override
  public float[] score(EvictionView view) {
    float[] scores = new float[view.size()];
    for (int layer = 0; layer < view.layers(); layer++) {
      Keys keys = Keys.of(view, layer);
      for (int i = 0; i < scores.length; i++) {
        for (int head = 0; head < view.keyHeads(); head++) {
          scores[i] -= (float) keys.norm(i, head);
        }
      }
    }
    return scores;
  }
}
