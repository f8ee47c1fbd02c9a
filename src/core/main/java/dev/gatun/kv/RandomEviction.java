package dev.gatun.kv;

import java.util.SplittableRandom;

/**
 * Keeps tokens at random: what every other policy has to beat.
 *
 * @param seed where chance comes from; a token's number depends on its position and this alone
 */
public record RandomEviction(long seed) implements EvictionPolicy {
  private static final long STEP = 0x9e3779b97f4a7c15L;

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
