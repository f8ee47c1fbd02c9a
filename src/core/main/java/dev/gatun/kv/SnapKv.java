package dev.gatun.kv;

/**
 * Keeps what the last tokens attend to, summed over them and over all heads, and their neighbours
 * by max-pooling.
 *
 * <p>Source: Li et al., "SnapKV", 2024, equations 1 to 3, with one set of tokens for all layers and
 * heads.
 *
 * @param window how many last tokens are observed
 * @param pool width of the pooling, in tokens
 */
public record SnapKv(int window, int pool) implements EvictionPolicy {
  /** Checks the width. */
  public SnapKv {
    if (pool < 1) {
      throw new IllegalArgumentException("the pooling is at least 1 token wide, not " + pool);
    }
  }

  @Override
  public String name() {
    return "snapkv:" + window + "/" + pool;
  }

  @Override
  public EvictionNeeds needs() {
    return EvictionNeeds.of(Observation.Window.of(window));
  }

  @Override
  public float[] score(EvictionView view) {
    return Pooling.maximum(view.attention().sums(), pool);
  }
}
