package dev.gatun.internal;

import java.util.Arrays;

/**
 * What {@code gatun_rope_params} holds: how positions are scaled beyond what {@code
 * llama_context_params} can say.
 *
 * @param factors frequency factors, one for each rotated pair; empty keeps the model's
 * @param attentionFactor multiplies queries and keys
 * @param farKind {@code GATUN_FAR_*}
 * @param window near keys, in tokens
 * @param group Self-Extend's group
 * @param chunk chunk of dual chunk attention, in tokens
 * @param factor leaky ReRoPE's factor
 * @param logNTokens length from which on queries are scaled up; 0 never
 */
public record RopeHook(
    float[] factors,
    float attentionFactor,
    int farKind,
    int window,
    int group,
    int chunk,
    double factor,
    int logNTokens) {

  /** Changes nothing but shifts, which it keeps from stretching the keys under YaRN. */
  public static RopeHook shiftsOnly() {
    return table(new float[0], 1);
  }

  /** Other frequencies. */
  public static RopeHook table(float[] factors, double attentionFactor) {
    return new RopeHook(factors, (float) attentionFactor, 0, 0, 1, 0, 1, 0);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof RopeHook hook
        && Arrays.equals(factors, hook.factors)
        && attentionFactor == hook.attentionFactor
        && farKind == hook.farKind
        && window == hook.window
        && group == hook.group
        && chunk == hook.chunk
        && factor == hook.factor
        && logNTokens == hook.logNTokens;
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(factors) * 31 + farKind * 7 + window;
  }
}
