package dev.gatun.sampling;

/**
 * Makes tokens that occurred lately less probable. Sources: the repetition penalty of Keskar et
 * al., "CTRL", arXiv:1909.05858, section 4.1; frequency and presence penalties as in the OpenAI
 * API.
 *
 * <p>Slow on a whole vocabulary after sorting; put {@link TopK} before it where speed matters.
 *
 * @apiNote Calls {@code llama_sampler_init_penalties}.
 * @param lastN how many tokens back, at most 16,777,216; 0 turns it off
 * @param repeat divides a positive and multiplies a negative logit; above 0, 1 does nothing
 * @param frequency taken off the logit for each occurrence
 * @param presence taken off the logit once
 */
public record Penalties(int lastN, float repeat, float frequency, float presence)
    implements Sampler {
  /** Checks the ranges. */
  public Penalties {
    Checks.range("lastN", lastN, 0, Checks.MAX_HISTORY);
    Checks.range("repeat", repeat, 1e-6f, 1e6f);
    Checks.range("frequency", frequency, -1e6f, 1e6f);
    Checks.range("presence", presence, -1e6f, 1e6f);
  }

  @Override
  public boolean isNeutral() {
    return lastN == 0 || (repeat == 1f && frequency == 0f && presence == 0f);
  }
}
