package dev.gatun.sampling;

/**
 * Favours tokens whose probability is near a target, follows the mean of what was chosen, and
 * selects. Only mild truncation should stand before it, such as {@link MinP}. Source: llama.cpp,
 * pull request 17927.
 *
 * @apiNote Calls {@code llama_sampler_init_adaptive_p}.
 * @param target the token probability to aim at, 0 to 1
 * @param decay weight of the past, 0 to 0.99; the memory is about {@code 1 / (1 - decay)} tokens
 * @param seed 0 to 2<sup>32</sup> - 1; {@link Sampler#RANDOM_SEED} draws one
 */
public record AdaptiveP(float target, float decay, long seed) implements Sampler {
  /** Checks the ranges. */
  public AdaptiveP {
    Checks.range("target", target, 0f, 1f);
    Checks.range("decay", decay, 0f, 0.99f);
    Checks.seed(seed);
  }

  @Override
  public boolean selects() {
    return true;
  }
}
