package dev.gatun.sampling;

/**
 * Divides the logits by the temperature: below 1 the probable becomes more probable. At 0 only the
 * largest logit is left.
 *
 * @apiNote Calls {@code llama_sampler_init_temp}.
 * @param temperature 0, or from {@value #SMALLEST} up
 */
public record Temperature(float temperature) implements Sampler {
  /** The smallest temperature above 0: below it a logit overflows. */
  public static final float SMALLEST = 1e-20f;

  /** Checks the range. */
  public Temperature {
    check(temperature);
  }

  static void check(float temperature) {
    Checks.range("temperature", temperature, 0f, Float.MAX_VALUE);
    if (temperature > 0f && temperature < SMALLEST) {
      throw new IllegalArgumentException(
          "temperature must be 0 or at least " + SMALLEST + ", but is " + temperature + "; use 0");
    }
  }

  @Override
  public boolean isNeutral() {
    return temperature == 1f;
  }
}
