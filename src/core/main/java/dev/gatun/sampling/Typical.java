package dev.gatun.sampling;

/**
 * Keeps the tokens whose surprise is nearest to the entropy, up to a probability mass of p. Source:
 * Meister et al., "Locally Typical Sampling", arXiv:2202.00666.
 *
 * @apiNote Calls {@code llama_sampler_init_typical}.
 * @param p 0 to 1; 1 keeps all
 * @param minKeep keep at least so many
 */
public record Typical(float p, int minKeep) implements Sampler {
  /** Checks the ranges. */
  public Typical {
    Checks.range("p", p, 0f, 1f);
    Checks.minKeep(minKeep);
  }

  @Override
  public boolean isNeutral() {
    return p >= 1f;
  }
}
