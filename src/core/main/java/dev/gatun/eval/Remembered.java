package dev.gatun.eval;

import dev.gatun.kv.EvictionNeeds;
import dev.gatun.kv.EvictionPolicy;
import dev.gatun.kv.EvictionView;
import dev.gatun.kv.Spans;
import java.util.Optional;

/** A policy that looks once and says the same for every budget. For one text. */
final class Remembered implements EvictionPolicy {
  private final EvictionPolicy policy;
  private Optional<float[]> scores = Optional.empty();

  Remembered(EvictionPolicy policy) {
    this.policy = policy;
  }

  @Override
  public String name() {
    return policy.name();
  }

  @Override
  public EvictionNeeds needs() {
    return scores.isPresent() ? EvictionNeeds.nothing() : policy.needs();
  }

  @Override
  public Spans spans() {
    return policy.spans();
  }

  @Override
  public float[] score(EvictionView view) {
    float[] known = scores.orElseGet(() -> policy.score(view));
    scores = Optional.of(known);
    return known;
  }
}
