package dev.gatun.sampling;

/**
 * Keeps the tokens that are at least p times as probable as the most probable one. Source: Nguyen
 * et al., "Turning Up the Heat: Min-p Sampling", arXiv:2407.01082.
 *
 * @apiNote Calls {@code llama_sampler_init_min_p}.
 * @param p 0 to 1; 0 keeps all
 * @param minKeep keep at least so many
 */
public record MinP(float p, int minKeep) implements Sampler {
  /** Checks the ranges. */
  public MinP {
    Checks.range("p", p, 0f, 1f);
    Checks.minKeep(minKeep);
  }

  @Override
  public boolean isNeutral() {
    return p == 0f;
  }
}
