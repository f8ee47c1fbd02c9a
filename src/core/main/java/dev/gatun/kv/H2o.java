package dev.gatun.kv;

/**
 * Keeps the heavy hitters: what most attention has gone to since the start.
 *
 * <p>Source: Zhang et al., "H2O: Heavy-Hitter Oracle", 2023, algorithm 1, with one set of tokens
 * for all layers and heads.
 *
 * @param spans which neighbours stay too
 */
public record H2o(Spans spans) implements EvictionPolicy {
  @Override
  public String name() {
    return EvictionSpec.name("h2o", spans);
  }

  @Override
  public EvictionNeeds needs() {
    return EvictionNeeds.of(new Observation.Accumulated());
  }

  @Override
  public float[] score(EvictionView view) {
    return view.attention().sums();
  }
}
