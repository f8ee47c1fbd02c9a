package dev.gatun.sampling;

import java.util.Collection;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * Adds a constant to the logits of some tokens; {@link Float#NEGATIVE_INFINITY} forbids a token.
 * Token ids are checked against the vocabulary when a generation starts.
 *
 * <p>Put it first in a chain: behind a sorting sampler every candidate is compared with every
 * entry.
 *
 * @apiNote Calls {@code llama_sampler_init_logit_bias}.
 * @param biases token id to what is added, finite or negative infinity
 */
public record LogitBias(Map<Integer, Float> biases) implements Sampler {
  /** Copies the map and checks the values. */
  public LogitBias {
    biases = Map.copyOf(biases);
    biases.forEach(
        (token, bias) -> {
          if (token < 0) {
            throw new IllegalArgumentException("a token id must not be negative, but is " + token);
          }
          if (bias != Float.NEGATIVE_INFINITY) {
            Checks.range("the bias of token " + token, bias, -1e30f, 1e30f);
          }
        });
  }

  /** Returns a bias that forbids tokens. */
  public static LogitBias never(Collection<Integer> tokens) {
    return new LogitBias(
        tokens.stream()
            .distinct()
            .collect(Collectors.toMap(Function.identity(), token -> Float.NEGATIVE_INFINITY)));
  }

  @Override
  public boolean isNeutral() {
    return biases.isEmpty();
  }
}
