package dev.gatun.sampling;

/**
 * Draws a token from the softmax of the candidates' logits.
 *
 * @apiNote Calls {@code llama_sampler_init_dist}.
 * @param seed 0 to 2<sup>32</sup> - 1; {@link Sampler#RANDOM_SEED} draws one
 */
public record Distribution(long seed) implements Sampler {
  /** Checks the range. */
  public Distribution {
    Checks.seed(seed);
  }

  @Override
  public boolean selects() {
    return true;
  }
}
