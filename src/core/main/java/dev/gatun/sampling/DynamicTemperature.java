package dev.gatun.sampling;

/**
 * A temperature between {@code temperature - range} and {@code temperature + range} that rises with
 * the normalised entropy of the candidates. Source: Zhang et al., "EDT: Improving Large Language
 * Models' Generation by Entropy-based Dynamic Temperature Sampling", arXiv:2403.14541.
 *
 * @apiNote Calls {@code llama_sampler_init_temp_ext}.
 * @param temperature the middle of the range, as in {@link Temperature}
 * @param range half the width of the range; 0 makes it a plain {@link Temperature}
 * @param exponent how entropy maps to temperature; 1 is linear
 */
public record DynamicTemperature(float temperature, float range, float exponent)
    implements Sampler {
  /** Checks the ranges. */
  public DynamicTemperature {
    Temperature.check(temperature);
    Checks.range("range", range, 0f, 1e6f);
    Checks.range("exponent", exponent, 0f, 1e6f);
  }

  @Override
  public boolean isNeutral() {
    return temperature == 1f && range == 0f;
  }
}
