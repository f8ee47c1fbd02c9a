package dev.gatun.sampling;

import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * "Don't repeat yourself": lowers the logit of a token that would continue a repetition by {@code
 * multiplier * base^(length - allowedLength)}. Source: text-generation-webui, pull request 5677.
 *
 * @apiNote Calls {@code llama_sampler_init_dry}.
 * @param multiplier 0 turns it off
 * @param base 1 or more
 * @param allowedLength repetitions up to so many tokens are free
 * @param lastN how many tokens back, at most 16,777,216; 0 turns it off
 * @param breakers texts that a repetition is not followed across, each at most {@value
 *     #MAX_BREAKER_BYTES} bytes of UTF-8
 */
public record Dry(float multiplier, float base, int allowedLength, int lastN, List<String> breakers)
    implements Sampler {
  /** The breakers that llama.cpp's own tools use. */
  public static final List<String> DEFAULT_BREAKERS = List.of("\n", ":", "\"", "*");

  /** The longest breaker, in bytes of UTF-8. */
  public static final int MAX_BREAKER_BYTES = 40;

  /** Copies the list and checks the ranges. */
  public Dry {
    breakers = List.copyOf(breakers);
    Checks.range("multiplier", multiplier, 0f, 1e6f);
    Checks.range("base", base, 1f, 1e6f);
    Checks.range("allowedLength", allowedLength, 0, Checks.MAX_HISTORY);
    Checks.range("lastN", lastN, 0, Checks.MAX_HISTORY);
    for (String breaker : breakers) {
      int bytes = breaker.getBytes(StandardCharsets.UTF_8).length;
      if (bytes == 0 || bytes > MAX_BREAKER_BYTES || breaker.indexOf('\0') >= 0) {
        throw new IllegalArgumentException(
            "a breaker must have 1 to "
                + MAX_BREAKER_BYTES
                + " bytes of UTF-8, none of them 0, but one has "
                + bytes
                + " bytes");
      }
    }
  }

  @Override
  public boolean isNeutral() {
    return multiplier == 0f || lastN == 0;
  }
}
