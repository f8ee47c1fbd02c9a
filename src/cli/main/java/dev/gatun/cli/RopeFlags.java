package dev.gatun.cli;

import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.Temperature;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** llama.cpp's RoPE and YaRN flags, translated into one {@link RopeScaling}. */
final class RopeFlags {
  private @Nullable String method;
  private double scale;
  private double base;
  private double frequencyScale;
  private int originalContext;
  private double extrapolation = Double.NaN;
  private double attention = Double.NaN;
  private double betaFast = Double.NaN;
  private double betaSlow = Double.NaN;

  void declare(OptionTable table) {
    table
        .group("Positions (RoPE):")
        .value(
            "--rope-scaling",
            "METHOD",
            "none, linear or yarn; for a text longer than the trained context yarn is chosen.",
            v -> method = Values.word("--rope-scaling", v, List.of("none", "linear", "yarn")))
        .value(
            "--rope-scale",
            "N",
            "How many times longer than trained the context is.",
            v -> scale = Values.number("--rope-scale", v, 1, 1e6))
        .value(
            "--rope-freq-base",
            "N",
            "RoPE base frequency (the model's).",
            v -> base = Values.number("--rope-freq-base", v, 0, Double.MAX_VALUE))
        .value(
            "--rope-freq-scale",
            "N",
            "Factor of every position: 1/N extends N times.",
            v -> frequencyScale = Values.number("--rope-freq-scale", v, 0, 1))
        .value(
            "--yarn-orig-ctx",
            "N",
            "Trained context that YaRN extends (the model's).",
            v -> originalContext = Values.whole("--yarn-orig-ctx", v, 0, 1 << 30))
        .value(
            "--yarn-ext-factor",
            "N",
            "Share of extrapolation; 0 is linear.",
            v -> extrapolation = orModel(Values.number("--yarn-ext-factor", v, -1, 1)))
        .value(
            "--yarn-attn-factor",
            "N",
            "Multiplier of the attention temperature.",
            v -> attention = orModel(Values.number("--yarn-attn-factor", v, -1, 100)))
        .value(
            "--yarn-beta-slow",
            "N",
            "Rotations below which a dimension is interpolated.",
            v -> betaSlow = orModel(Values.number("--yarn-beta-slow", v, -1, 1e6)))
        .value(
            "--yarn-beta-fast",
            "N",
            "Rotations above which a dimension is left alone.",
            v -> betaFast = orModel(Values.number("--yarn-beta-fast", v, -1, 1e6)));
  }

  private static double orModel(double value) {
    return value < 0 ? Double.NaN : value;
  }

  /**
   * Returns the scaling that the flags fix; nothing when its factor is to follow from the length.
   */
  Optional<RopeScaling> fixed() {
    if (method != null && method.equals("none")) {
      return Optional.of(RopeScaling.none());
    }
    if (scale == 0 && base == 0 && frequencyScale == 0) {
      return Optional.empty();
    }
    boolean yarn = method == null ? hasYarnFlag() : method.equals("yarn");
    if (base > 0) {
      if (yarn) {
        throw CliException.usage("--rope-freq-base does not go with YaRN; leave one of them out");
      }
      return Optional.of(new RopeScaling.Frequency(base, scale > 0 ? 1 / scale : frequencyScale));
    }
    double factor = scale > 0 ? scale : 1 / frequencyScale;
    return Optional.of(yarn ? yarn(factor) : RopeScaling.linear(factor));
  }

  /** Returns the scaling for a context that is longer than trained by a factor. */
  RopeScaling stretched(double factor) {
    return method != null && method.equals("linear") ? RopeScaling.linear(factor) : yarn(factor);
  }

  private RopeScaling yarn(double factor) {
    if (Double.isNaN(betaFast) != Double.isNaN(betaSlow)) {
      throw CliException.usage("give --yarn-beta-fast and --yarn-beta-slow together or neither");
    }
    return RopeScaling.yarn(factor)
        .withOriginalTokens(originalContext)
        .withExtrapolationFactor(Double.isNaN(extrapolation) ? 1 : extrapolation)
        .withTemperature(new Temperature.Standard(Double.isNaN(attention) ? 1 : attention))
        .withBetas(betaFast, betaSlow);
  }

  private boolean hasYarnFlag() {
    return originalContext > 0
        || !Double.isNaN(extrapolation)
        || !Double.isNaN(attention)
        || !Double.isNaN(betaFast)
        || !Double.isNaN(betaSlow);
  }
}
