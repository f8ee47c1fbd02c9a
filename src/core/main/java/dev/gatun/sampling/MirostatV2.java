package dev.gatun.sampling;

/**
 * Mirostat 2.0: keeps the text's surprise near a target, and selects. Source: Basu et al.,
 * "Mirostat: A Neural Text Decoding Algorithm that Directly Controls Perplexity", arXiv:2007.14966,
 * algorithm 2.
 *
 * @apiNote Calls {@code llama_sampler_init_mirostat_v2}.
 * @param seed 0 to 2<sup>32</sup> - 1; {@link Sampler#RANDOM_SEED} draws one
 * @param tau the target surprise in bits, above 0
 * @param eta the learning rate, above 0
 */
public record MirostatV2(long seed, float tau, float eta) implements Sampler {
  /** Checks the ranges. */
  public MirostatV2 {
    Checks.seed(seed);
    check(tau, eta);
  }

  static void check(float tau, float eta) {
    Checks.range("tau", tau, Float.MIN_NORMAL, 1e6f);
    Checks.range("eta", eta, Float.MIN_NORMAL, 1e6f);
  }

  @Override
  public boolean selects() {
    return true;
  }
}
