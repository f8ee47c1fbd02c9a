package dev.gatun.internal;

import static dev.gatun.bindings.generated.gatun_shim_h.gatun_rope_new;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_rope_set;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_two_band_scores;

import dev.gatun.bindings.generated.CTypes;
import dev.gatun.bindings.generated.gatun_rope_params;
import dev.gatun.error.ContextCreateException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The {@code gatun_rope} of a context. The context frees it. */
final class NativeRope {
  private NativeRope() {}

  /**
   * Makes one.
   *
   * @return the {@code gatun_rope}
   */
  static MemorySegment create(RopeHook hook, ErrorBuffer error) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(ValueLayout.ADDRESS);
      int status = gatun_rope_new(params(hook, call), out, error.segment(), error.capacity());
      Status.check("the position scaling", status, error, ContextCreateException::new);
      return CTypes.pointer(out, 0);
    }
  }

  /** Changes the settings of a context whose memory is empty. */
  static void set(MemorySegment rope, RopeHook hook, ErrorBuffer error) {
    try (Arena call = Arena.ofConfined()) {
      int status = gatun_rope_set(rope, params(hook, call), error.segment(), error.capacity());
      Status.check("the position scaling", status, error, ContextCreateException::new);
    }
  }

  /**
   * Computes the scores of one attention head, by the code that contexts use.
   *
   * @param hook names a far band
   * @param base RoPE base
   * @param adjacent whether pairs are (2i, 2i + 1), else (i, i + half)
   * @param queries {@code [tokens][headSize]}, without rotation
   * @param keys as the queries
   * @return {@code q · k / sqrt(headSize)}, {@code [query][key]}
   */
  static float[][] scores(
      RopeHook hook, double base, boolean adjacent, float[][] queries, float[][] keys) {
    int tokens = queries.length;
    int headSize = queries[0].length;
    try (Arena call = Arena.ofConfined()) {
      MemorySegment q = call.allocate(ValueLayout.JAVA_FLOAT, (long) tokens * headSize);
      MemorySegment k = call.allocate(ValueLayout.JAVA_FLOAT, (long) tokens * headSize);
      MemorySegment out = call.allocate(ValueLayout.JAVA_FLOAT, (long) tokens * tokens);
      for (int i = 0; i < tokens; i++) {
        MemorySegment.copy(queries[i], 0, q, ValueLayout.JAVA_FLOAT, 4L * i * headSize, headSize);
        MemorySegment.copy(keys[i], 0, k, ValueLayout.JAVA_FLOAT, 4L * i * headSize, headSize);
      }
      ErrorBuffer error = new ErrorBuffer(call);
      int status =
          gatun_two_band_scores(
              params(hook, call),
              headSize,
              base,
              adjacent,
              tokens,
              q,
              k,
              out,
              error.segment(),
              error.capacity());
      Status.check("gatun_two_band_scores", status, error, IllegalArgumentException::new);
      float[][] scores = new float[tokens][tokens];
      for (int i = 0; i < tokens; i++) {
        MemorySegment.copy(out, ValueLayout.JAVA_FLOAT, 4L * i * tokens, scores[i], 0, tokens);
      }
      return scores;
    }
  }

  private static MemorySegment params(RopeHook hook, Arena call) {
    MemorySegment params = call.allocate(gatun_rope_params.BYTES, gatun_rope_params.ALIGNMENT);
    gatun_rope_params.factors(params, call.allocateFrom(ValueLayout.JAVA_FLOAT, hook.factors()));
    gatun_rope_params.n_factors(params, hook.factors().length);
    gatun_rope_params.attention_factor(params, hook.attentionFactor());
    gatun_rope_params.far_kind(params, hook.farKind());
    gatun_rope_params.window(params, hook.window());
    gatun_rope_params.group(params, hook.group());
    gatun_rope_params.chunk(params, hook.chunk());
    gatun_rope_params.factor(params, hook.factor());
    gatun_rope_params.log_n_tokens(params, hook.logNTokens());
    return params;
  }
}
