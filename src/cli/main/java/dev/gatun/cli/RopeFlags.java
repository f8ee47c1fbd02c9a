package dev.gatun.cli;

import dev.gatun.rope.Auto;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.RopeSpec;
import dev.gatun.rope.Temperature;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * {@code --rope}, and llama.cpp's own RoPE and YaRN flags. Both say how positions are scaled, so
 * that only one kind may be given.
 */
final class RopeFlags {
  private @Nullable RopeSpec spec;
  private @Nullable String llamaCppFlag;
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
            "--rope",
            "SPEC",
            "How positions are scaled for a text longer than trained: auto, auto-fast, none, model, yarn[:8], "
                + "rerope[:64], ... (auto). Not with the llama.cpp flags below.",
            this::spec);
    declareLlamaCpp(table);
  }

  private void declareLlamaCpp(OptionTable table) {
    table
        .value(
            "--rope-scaling",
            "METHOD",
            "none, linear or yarn.",
            v -> {
              alone("--rope-scaling");
              method = Values.word("--rope-scaling", v, List.of("none", "linear", "yarn"));
            })
        .value(
            "--rope-scale",
            "N",
            "How many times longer than trained the context is.",
            v -> {
              alone("--rope-scale");
              scale = Values.number("--rope-scale", v, 1, 1e6);
            })
        .value(
            "--rope-freq-base",
            "N",
            "RoPE base frequency (the model's).",
            v -> {
              alone("--rope-freq-base");
              base = Values.number("--rope-freq-base", v, 0, Double.MAX_VALUE);
            })
        .value(
            "--rope-freq-scale",
            "N",
            "Factor of every position: 1/N extends N times.",
            v -> {
              alone("--rope-freq-scale");
              frequencyScale = Values.number("--rope-freq-scale", v, 0, 1);
            })
        .value(
            "--yarn-orig-ctx",
            "N",
            "Trained context that YaRN extends (the model's).",
            v -> {
              alone("--yarn-orig-ctx");
              originalContext = Values.whole("--yarn-orig-ctx", v, 0, 1 << 30);
            })
        .value(
            "--yarn-ext-factor",
            "N",
            "Share of extrapolation; 0 is linear.",
            v -> {
              alone("--yarn-ext-factor");
              extrapolation = orModel(Values.number("--yarn-ext-factor", v, -1, 1));
            })
        .value(
            "--yarn-attn-factor",
            "N",
            "Multiplier of the attention temperature.",
            v -> {
              alone("--yarn-attn-factor");
              attention = orModel(Values.number("--yarn-attn-factor", v, -1, 100));
            })
        .value(
            "--yarn-beta-slow",
            "N",
            "Rotations below which a dimension is interpolated.",
            v -> {
              alone("--yarn-beta-slow");
              betaSlow = orModel(Values.number("--yarn-beta-slow", v, -1, 1e6));
            })
        .value(
            "--yarn-beta-fast",
            "N",
            "Rotations above which a dimension is left alone.",
            v -> {
              alone("--yarn-beta-fast");
              betaFast = orModel(Values.number("--yarn-beta-fast", v, -1, 1e6));
            });
  }

  private void spec(String text) {
    if (llamaCppFlag != null) {
      throw bothKinds(llamaCppFlag);
    }
    try {
      spec = RopeSpec.parse(text);
    } catch (IllegalArgumentException e) {
      throw CliException.usage("--rope: " + e.getMessage());
    }
  }

  private void alone(String flag) {
    if (spec != null) {
      throw bothKinds(flag);
    }
    llamaCppFlag = flag;
  }

  private static CliException bothKinds(String flag) {
    return CliException.usage(
        "--rope and " + flag + " both say how positions are scaled; leave one of them out");
  }

  private static double orModel(double value) {
    return value < 0 ? Double.NaN : value;
  }

  /**
   * Returns the scaling that the flags fix; nothing when it is to be chosen, or its factor is to
   * follow from the length.
   */
  Optional<RopeScaling> fixed() {
    if (spec != null) {
      return spec.followsLength() || isAuto() ? Optional.empty() : Optional.of(spec.at(1));
    }
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

  /**
   * Returns the scaling for a context that is longer than trained by a factor: {@link Auto} when
   * the flags leave the choice open.
   */
  RopeScaling stretched(double factor) {
    if (spec != null) {
      return spec.at(factor);
    }
    if (method != null && method.equals("linear")) {
      return RopeScaling.linear(factor);
    }
    return method != null || hasYarnFlag() ? yarn(factor) : RopeScaling.auto();
  }

  private boolean isAuto() {
    return spec != null && spec.at(1) instanceof Auto;
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
