package dev.gatun.sampling;

/**
 * Keeps the smallest set of the most probable tokens whose probabilities sum to at least p. Source:
 * Holtzman et al., "The Curious Case of Neural Text Degeneration", arXiv:1904.09751.
 *
 * @apiNote Calls {@code llama_sampler_init_top_p}.
 * @param p 0 to 1; 1 keeps all
 * @param minKeep keep at least so many
 */
public record TopP(float p, int minKeep) implements Sampler {
  /** Checks the ranges. */
  public TopP {
    Checks.range("p", p, 0f, 1f);
    Checks.minKeep(minKeep);
  }

  @Override
  public boolean isNeutral() {
    return p >= 1f;
  }
}
