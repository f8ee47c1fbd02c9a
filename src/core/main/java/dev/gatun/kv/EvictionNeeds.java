package dev.gatun.kv;

import java.util.Objects;

/**
 * What a policy has to know. Each part costs something: see there.
 *
 * @param observation whose attention is observed
 * @param heads whether also by layer and head: float32 for each of them and each cell
 * @param queryTokens of how many observed tokens the queries are kept, before the rotation; 0: none
 * @param keys whether the cached keys are read; costs a copy of a layer's keys as float32, and no
 *     decode
 */
public record EvictionNeeds(Observation observation, boolean heads, int queryTokens, boolean keys) {
  /** Checks that all are there. */
  public EvictionNeeds {
    Objects.requireNonNull(observation, "observation");
    if (queryTokens < 0) {
      throw new IllegalArgumentException("queryTokens must not be negative: " + queryTokens);
    }
  }

  /** Nothing but tokens and positions. */
  public static EvictionNeeds nothing() {
    return new EvictionNeeds(new Observation.None(), false, 0, false);
  }

  /** The cached keys. */
  public static EvictionNeeds ofKeys() {
    return new EvictionNeeds(new Observation.None(), false, 0, true);
  }

  /** Attention over all layers and heads together. */
  public static EvictionNeeds of(Observation observation) {
    return new EvictionNeeds(observation, false, 0, false);
  }

  /** Returns a copy that asks for attention by layer and head too. */
  public EvictionNeeds withHeads() {
    return new EvictionNeeds(observation, true, queryTokens, keys);
  }

  /** Returns a copy that asks for keys too. */
  public EvictionNeeds withKeys() {
    return new EvictionNeeds(observation, heads, queryTokens, true);
  }

  /** Returns a copy that asks for the queries of the last observed tokens too. */
  public EvictionNeeds withQueries(int tokens) {
    return new EvictionNeeds(observation, heads, tokens, keys);
  }
}
