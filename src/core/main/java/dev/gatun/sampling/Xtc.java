package dev.gatun.sampling;

/**
 * "Exclude top choices": with the given probability drops every token above the threshold but the
 * least probable of them. Source: text-generation-webui, pull request 6335.
 *
 * @apiNote Calls {@code llama_sampler_init_xtc}.
 * @param probability 0 to 1, the chance that it acts on a token; 0 turns it off
 * @param threshold 0 to 1; above 0.5 it never acts
 * @param minKeep acts only when at least so many candidates remain
 * @param seed 0 to 2<sup>32</sup> - 1; {@link Sampler#RANDOM_SEED} draws one
 */
public record Xtc(float probability, float threshold, int minKeep, long seed) implements Sampler {
  /** Checks the ranges. */
  public Xtc {
    Checks.range("probability", probability, 0f, 1f);
    Checks.range("threshold", threshold, 0f, 1f);
    Checks.minKeep(minKeep);
    Checks.seed(seed);
  }

  @Override
  public boolean isNeutral() {
    return probability == 0f || threshold > 0.5f;
  }
}
