package dev.gatun.kv;

/** Keeps the latest tokens: a window. */
public record Recency() implements EvictionPolicy {
  @Override
  public String name() {
    return "recent";
  }

  @Override
  public EvictionNeeds needs() {
    return EvictionNeeds.nothing();
  }

  @Override
  public float[] score(EvictionView view) {
    float[] scores = new float[view.size()];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = i;
    }
    return scores;
  }
}
