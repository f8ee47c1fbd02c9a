package dev.gatun.kv;

import java.util.SplittableRandom;

/**
 * Keeps tokens at random: what every other policy has to beat.
 *
 * @param seed where chance comes from, at least 0; a token's number depends on its position and
 *     this alone
 */
public record RandomEviction(long seed) implements EvictionPolicy {
  private static final long STEP = 0x9e3779b97f4a7c15L;

  /** Checks the seed. */
  public RandomEviction {
    if (seed < 0) {
      throw new IllegalArgumentException("the seed must not be negative, but is " + seed);
    }
  }

  @Override
  public String name() {
    return "random:" + seed;
  }

  @Override
  public EvictionNeeds needs() {
    return EvictionNeeds.nothing();
  }

  @Override
  public float[] score(EvictionView view) {
    float[] scores = new float[view.size()];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = (float) new SplittableRandom(seed + STEP * view.position(i)).nextDouble();
    }
    return scores;
  }
}
