package dev.gatun.sampling;

/**
 * Keeps the k largest logits, sorted. Source: Holtzman et al., "The Curious Case of Neural Text
 * Degeneration", arXiv:1904.09751.
 *
 * @apiNote Calls {@code llama_sampler_init_top_k}.
 * @param k how many to keep; 0 keeps all
 */
public record TopK(int k) implements Sampler {
  /** Checks the range. */
  public TopK {
    Checks.range("k", k, 0, Integer.MAX_VALUE);
  }

  @Override
  public boolean isNeutral() {
    return k == 0;
  }
}
