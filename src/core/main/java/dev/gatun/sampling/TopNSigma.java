package dev.gatun.sampling;

/**
 * Drops the logits that lie more than n standard deviations below the largest. Source: Tang et al.,
 * "Top-nσ: Not All Logits Are You Need", arXiv:2411.07641.
 *
 * @apiNote Calls {@code llama_sampler_init_top_n_sigma}.
 * @param n 0 or more; 0 turns it off
 */
public record TopNSigma(float n) implements Sampler {
  /** Checks the range. */
  public TopNSigma {
    Checks.range("n", n, 0f, 1e6f);
  }

  @Override
  public boolean isNeutral() {
    return n == 0f;
  }
}
