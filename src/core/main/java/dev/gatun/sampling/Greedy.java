package dev.gatun.sampling;

/**
 * Selects the largest logit; of equal ones the candidate that comes first.
 *
 * @apiNote Calls {@code llama_sampler_init_greedy}.
 */
public record Greedy() implements Sampler {
  @Override
  public boolean selects() {
    return true;
  }
}
