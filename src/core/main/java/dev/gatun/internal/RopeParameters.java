package dev.gatun.internal;

import static dev.gatun.bindings.generated.gatun_shim_h.GATUN_FAR_DUAL_CHUNK;
import static dev.gatun.bindings.generated.gatun_shim_h.GATUN_FAR_LEAKY_REROPE;
import static dev.gatun.bindings.generated.gatun_shim_h.GATUN_FAR_REROPE;
import static dev.gatun.bindings.generated.gatun_shim_h.GATUN_FAR_SELF_EXTEND;

import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.rope.DualChunk;
import dev.gatun.rope.LeakyReRope;
import dev.gatun.rope.Linear;
import dev.gatun.rope.NtkAware;
import dev.gatun.rope.ReRope;
import dev.gatun.rope.RopeBasis;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.Rotation;
import dev.gatun.rope.SelfExtend;
import dev.gatun.rope.StaticScaling;
import dev.gatun.rope.Temperature;
import dev.gatun.rope.TwoBand;
import dev.gatun.rope.Yarn;
import java.util.Optional;

/**
 * The one translation of a position scaling into what the native side takes: the RoPE fields of
 * {@code llama_context_params}, and a hook where they cannot say it.
 *
 * <p>Linear and NTK-aware scaling are parameters, exact and for every device. Every other table of
 * frequencies is a hook, also YaRN: upstream's own YaRN ignores a wanted temperature, cannot leave
 * its ramp unrounded, and stretches the cached keys at every shift. With layers on a GPU, where no
 * hook reaches, YaRN falls back to upstream's parameters.
 *
 * @param type {@code enum llama_rope_scaling_type}
 * @param frequencyBase {@code rope_freq_base}; 0 keeps the model's
 * @param frequencyScale {@code rope_freq_scale}; 0 keeps the model's
 * @param extrapolationFactor {@code yarn_ext_factor}; negative keeps the model's
 * @param attentionFactor {@code yarn_attn_factor}; negative keeps the model's
 * @param betaFast {@code yarn_beta_fast}; negative keeps the model's
 * @param betaSlow {@code yarn_beta_slow}; negative keeps the model's
 * @param originalContextTokens {@code yarn_orig_ctx}; 0 keeps the model's
 * @param hook what parameters cannot say
 */
public record RopeParameters(
    int type,
    float frequencyBase,
    float frequencyScale,
    float extrapolationFactor,
    float attentionFactor,
    float betaFast,
    float betaSlow,
    int originalContextTokens,
    Optional<RopeHook> hook) {

  private static final int UNSPECIFIED = -1;
  private static final int NONE = 0;
  private static final int LINEAR = 1;
  private static final int YARN = 2;

  /**
   * Returns the parameters of the model's own positions.
   *
   * @param yarnInFile whether the file asks for YaRN, whose shifts need mending
   */
  public static RopeParameters ofModel(boolean yarnInFile) {
    return plain(UNSPECIFIED, 0, 0)
        .with(yarnInFile ? Optional.of(RopeHook.shiftsOnly()) : Optional.empty());
  }

  /**
   * Translates a scaling.
   *
   * @param scaling none, frequencies, a static one or a resolved two-band one
   * @param basis the model's rotation before scaling
   * @param cpuOnly whether every layer is on the CPU
   * @param yarnInFile whether the file asks for YaRN
   * @throws UnsupportedOperationForModelException if the scaling needs the CPU and has not got it
   */
  public static RopeParameters of(
      RopeScaling scaling, RopeBasis basis, boolean cpuOnly, boolean yarnInFile) {
    return switch (scaling) {
      case RopeScaling.None _ -> plain(NONE, 0, 1);
      case RopeScaling.Frequency frequency ->
          plain(UNSPECIFIED, frequency.base(), frequency.scale())
              .with(yarnInFile ? Optional.of(RopeHook.shiftsOnly()) : Optional.empty());
      case Linear linear -> plain(LINEAR, 0, 1 / linear.factor());
      case NtkAware ntk -> plain(NONE, ntk.stretchedBase(basis), 1);
      case Yarn yarn when !cpuOnly -> upstream(yarn, basis);
      case StaticScaling table -> hooked(hook(table.rotation(basis)), table, cpuOnly);
      case TwoBand bands -> hooked(hook(bands, basis.trainedTokens()), bands, cpuOnly);
      default -> throw new IllegalStateException(scaling.describe() + " was not resolved before");
    };
  }

  /** Returns the hook of a table of frequencies. */
  public static RopeHook hook(Rotation rotation) {
    double[] factors = rotation.freqFactors();
    float[] narrow = new float[factors.length];
    for (int i = 0; i < narrow.length; i++) {
      narrow[i] = (float) factors[i];
    }
    return RopeHook.table(narrow, rotation.attentionFactor());
  }

  /**
   * Returns the hook of a resolved two-band scaling.
   *
   * @param trainedTokens length from which on log-n scaled queries grow
   */
  public static RopeHook hook(TwoBand bands, int trainedTokens) {
    int logN = bands.logN() ? trainedTokens : 0;
    return switch (bands) {
      case SelfExtend(int group, int window, boolean _) ->
          far(GATUN_FAR_SELF_EXTEND, window, group, 0, 1, logN);
      case ReRope(int window, boolean _) -> far(GATUN_FAR_REROPE, window, 1, 0, 1, logN);
      case LeakyReRope(double factor, int window, boolean _) ->
          far(GATUN_FAR_LEAKY_REROPE, window, 1, 0, factor, logN);
      case DualChunk(int chunk, int local, boolean _) ->
          far(GATUN_FAR_DUAL_CHUNK, local, 1, chunk, 1, logN);
    };
  }

  private static RopeHook far(
      int kind, int window, int group, int chunk, double factor, int logNTokens) {
    return new RopeHook(new float[0], 1, kind, window, group, chunk, factor, logNTokens);
  }

  /**
   * Returns the parameters beside which a hook does everything.
   *
   * @param scaling what it is for, for the message
   * @throws UnsupportedOperationForModelException without {@code cpuOnly}
   */
  public static RopeParameters hooked(RopeHook hook, RopeScaling scaling, boolean cpuOnly) {
    if (!cpuOnly) {
      throw new UnsupportedOperationForModelException(
          "%s works with all layers on the CPU only; load the model with GpuLayers.none(), or choose linear, NTK-aware or plain YaRN scaling"
              .formatted(scaling.describe()));
    }
    return plain(NONE, 0, 1).with(Optional.of(hook));
  }

  private static RopeParameters upstream(Yarn yarn, RopeBasis basis) {
    if (!yarn.truncate()
        || !(yarn.temperature() instanceof Temperature.Standard(double multiplier))
        || multiplier != 1) {
      throw new UnsupportedOperationForModelException(
          "on a GPU YaRN has its standard temperature and whole ramp borders; load the model with GpuLayers.none(), or leave them at their defaults");
    }
    return new RopeParameters(
        YARN,
        0,
        (float) (1 / yarn.factor()),
        (float) yarn.extrapolationFactor(),
        -1,
        (float) (Double.isNaN(yarn.betaFast()) ? basis.betaFast() : yarn.betaFast()),
        (float) (Double.isNaN(yarn.betaSlow()) ? basis.betaSlow() : yarn.betaSlow()),
        yarn.originalTokens() == 0 ? basis.trainedTokens() : yarn.originalTokens(),
        Optional.of(RopeHook.shiftsOnly()));
  }

  private static RopeParameters plain(int type, double base, double scale) {
    return new RopeParameters(
        type, (float) base, (float) scale, -1, -1, -1, -1, 0, Optional.empty());
  }

  /**
   * Returns a copy with a hook, through which attention can be observed. It changes nothing where
   * there was none.
   */
  public RopeParameters withHook() {
    return hook.isPresent() ? this : with(Optional.of(RopeHook.shiftsOnly()));
  }

  private RopeParameters with(Optional<RopeHook> value) {
    return new RopeParameters(
        type,
        frequencyBase,
        frequencyScale,
        extrapolationFactor,
        attentionFactor,
        betaFast,
        betaSlow,
        originalContextTokens,
        value);
  }
}
