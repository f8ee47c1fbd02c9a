package dev.gatun.internal;

import dev.gatun.rope.Linear;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.Temperature;
import dev.gatun.rope.Yarn;

/**
 * The RoPE fields of {@code llama_context_params}.
 *
 * @param type {@code enum llama_rope_scaling_type}
 * @param frequencyBase {@code rope_freq_base}; 0 keeps the model's
 * @param frequencyScale {@code rope_freq_scale}; 0 keeps the model's
 * @param extrapolationFactor {@code yarn_ext_factor}; negative keeps the model's
 * @param attentionFactor {@code yarn_attn_factor}; negative keeps the model's
 * @param betaFast {@code yarn_beta_fast}; negative keeps the model's
 * @param betaSlow {@code yarn_beta_slow}; negative keeps the model's
 * @param originalContextTokens {@code yarn_orig_ctx}; 0 keeps the model's
 */
public record RopeParameters(
    int type,
    float frequencyBase,
    float frequencyScale,
    float extrapolationFactor,
    float attentionFactor,
    float betaFast,
    float betaSlow,
    int originalContextTokens) {

  private static final int UNSPECIFIED = -1;
  private static final int NONE = 0;
  private static final int LINEAR = 1;
  private static final int YARN = 2;

  /**
   * Translates a scaling.
   *
   * @param scaling the value
   * @param trainedContextTokens trained length of the model, in tokens
   * @param modelBetaFast the file's {@code yarn_beta_fast}, which llama.cpp does not read; NaN when
   *     it has none
   * @param modelBetaSlow the file's {@code yarn_beta_slow}; NaN when it has none
   */
  public static RopeParameters of(
      RopeScaling scaling, int trainedContextTokens, double modelBetaFast, double modelBetaSlow) {
    if (scaling instanceof RopeScaling.ModelDefault) {
      // Before the pattern switch, whose first use costs a cold start milliseconds.
      return plain(UNSPECIFIED, 0, 0);
    }
    return switch (scaling) {
      case RopeScaling.ModelDefault _ -> plain(UNSPECIFIED, 0, 0);
      case RopeScaling.None _ -> plain(NONE, 0, 1);
      case RopeScaling.Frequency frequency ->
          plain(UNSPECIFIED, frequency.base(), frequency.scale());
      case Linear linear -> plain(LINEAR, 0, 1 / linear.factor());
      case Yarn(
              double factor,
              int originalTokens,
              double extrapolationFactor,
              Temperature.Standard(double multiplier),
              double betaFast,
              double betaSlow,
              boolean truncate)
          when truncate ->
          new RopeParameters(
              YARN,
              0,
              (float) (1 / factor),
              (float) extrapolationFactor,
              (float) (multiplier == 1 ? -1 : multiplier),
              (float) orElse(betaFast, orElse(modelBetaFast, -1)),
              (float) orElse(betaSlow, orElse(modelBetaSlow, -1)),
              originalTokens == 0 ? trainedContextTokens : originalTokens);
      default ->
          throw new UnsupportedOperationException(
              "llama.cpp's parameters cannot express " + scaling.describe());
    };
  }

  private static RopeParameters plain(int type, double base, double scale) {
    return new RopeParameters(type, (float) base, (float) scale, -1, -1, -1, -1, 0);
  }

  private static double orElse(double value, double other) {
    return Double.isNaN(value) ? other : value;
  }
}
