package dev.gatun.sampling;

/**
 * Mirostat 1.0: keeps the text's surprise near a target, and selects. Source: Basu et al.,
 * "Mirostat: A Neural Text Decoding Algorithm that Directly Controls Perplexity", arXiv:2007.14966.
 *
 * @apiNote Calls {@code llama_sampler_init_mirostat}.
 * @param seed 0 to 2<sup>32</sup> - 1; {@link Sampler#RANDOM_SEED} draws one
 * @param tau the target surprise in bits, above 0
 * @param eta the learning rate, above 0
 * @param m how many of the most probable tokens estimate the exponent of Zipf's law, at least 2
 */
public record Mirostat(long seed, float tau, float eta, int m) implements Sampler {
  /** Checks the ranges. */
  public Mirostat {
    Checks.seed(seed);
    MirostatV2.check(tau, eta);
    Checks.range("m", m, 2, Integer.MAX_VALUE);
  }

  @Override
  public boolean selects() {
    return true;
  }
}
