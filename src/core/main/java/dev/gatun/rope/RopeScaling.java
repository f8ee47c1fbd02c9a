package dev.gatun.rope;

import java.util.OptionalInt;

/**
 * How positions are scaled when a RoPE model runs past its trained context. Immutable values; the
 * translation to what the native side needs is made when a context is created.
 *
 * <p>There are five kinds. {@link ModelDefault}, {@link None} and {@link Frequency} use what
 * llama.cpp has. A {@link StaticScaling} replaces the rotation's frequencies by others. A {@link
 * TwoBand} keeps them and maps far positions into the trained range. {@link Dynamic} changes the
 * static scaling as the text grows. {@link Auto} leaves the choice to {@link RopeAdvisor}.
 */
public sealed interface RopeScaling
    permits RopeScaling.ModelDefault,
        RopeScaling.None,
        RopeScaling.Frequency,
        StaticScaling,
        TwoBand,
        Dynamic,
        Auto {

  /**
   * Returns the method and its numbers in a few plain words, such as {@code YaRN with factor 8}.
   */
  String describe();

  /** What the model file asks for, unchanged. */
  record ModelDefault() implements RopeScaling {
    @Override
    public String describe() {
      return "the model's own positions";
    }
  }

  /** No scaling, whatever the model file asks for. */
  record None() implements RopeScaling {
    @Override
    public String describe() {
      return "no scaling";
    }
  }

  /**
   * Another RoPE base and a plain position scale: the raw native parameters, for files that need
   * them.
   *
   * @param base RoPE base frequency; 0 keeps the model's
   * @param scale factor that positions are multiplied with; 0 keeps the model's
   */
  record Frequency(double base, double scale) implements RopeScaling {
    /** Checks the numbers. */
    public Frequency {
      if (!Double.isFinite(base) || base < 0 || !Double.isFinite(scale) || scale < 0) {
        throw new IllegalArgumentException(
            "RoPE base and scale must be finite and not negative, but are %s and %s; 0 keeps the model's"
                .formatted(base, scale));
      }
    }

    @Override
    public String describe() {
      return "RoPE base %s and scale %s"
          .formatted(
              base == 0 ? "of the model" : Checks.shown(base),
              scale == 0 ? "of the model" : Checks.shown(scale));
    }
  }

  /** Returns the scaling that the model file asks for. */
  static RopeScaling modelDefault() {
    return new ModelDefault();
  }

  /** Returns no scaling. */
  static RopeScaling none() {
    return new None();
  }

  /**
   * Returns linear interpolation.
   *
   * @param factor context extension ratio, at least 1
   */
  static Linear linear(double factor) {
    return new Linear(factor);
  }

  /**
   * Returns NTK-aware scaling, which changes the base.
   *
   * @param factor context extension ratio, at least 1
   */
  static NtkAware ntkAware(double factor) {
    return new NtkAware(factor);
  }

  /**
   * Returns NTK-aware scaling that spreads the factor over all pairs.
   *
   * @param factor context extension ratio, at least 1
   */
  static NtkFixed ntkFixed(double factor) {
    return new NtkFixed(factor);
  }

  /**
   * Returns NTK-by-parts interpolation as the published code computes it, with the model's betas.
   *
   * @param factor context extension ratio, at least 1
   */
  static NtkByParts ntkByParts(double factor) {
    return new NtkByParts(factor, 0, Double.NaN, Double.NaN, NtkByParts.Ramp.CODE, true);
  }

  /**
   * Returns YaRN with the model's, else the paper's parameters.
   *
   * @param factor context extension ratio, at least 1
   */
  static Yarn yarn(double factor) {
    return new Yarn(factor, 0, 1, Temperature.standard(), Double.NaN, Double.NaN, true);
  }

  /**
   * Returns Llama 3.1's scaling with its published bands.
   *
   * @param factor context extension ratio, at least 1
   */
  static Llama3 llama3(double factor) {
    return new Llama3(factor, 1, 4, 0);
  }

  /** Returns Self-Extend with a window and a group chosen for the context, and log-n queries. */
  static SelfExtend selfExtend() {
    return new SelfExtend(0, 0, true);
  }

  /** Returns ReRoPE with a window of a quarter of the trained length and log-n queries. */
  static ReRope rerope() {
    return new ReRope(0, true);
  }

  /** Returns leaky ReRoPE with a factor and a window chosen for the context, and log-n queries. */
  static LeakyReRope leakyReRope() {
    return new LeakyReRope(0, 0, true);
  }

  /**
   * Returns leaky ReRoPE with log-n queries.
   *
   * @param factor by what far distances are divided, at least 1
   */
  static LeakyReRope leakyReRope(double factor) {
    return new LeakyReRope(factor, 0, true);
  }

  /** Returns dual chunk attention with chunks chosen for the model, and log-n queries. */
  static DualChunk dualChunk() {
    return new DualChunk(0, 0, true);
  }

  /** Returns YaRN whose factor follows the length of the text. */
  static Dynamic dynamic() {
    return new Dynamic(Dynamic.Family.YARN);
  }

  /** Returns the choice of {@link RopeAdvisor} for the context's size. */
  static Auto auto() {
    return new Auto(OptionalInt.empty(), false);
  }

  /**
   * Returns the choice of {@link RopeAdvisor} for a length.
   *
   * @param targetTokens length in tokens that is to be reached
   */
  static Auto auto(int targetTokens) {
    return new Auto(OptionalInt.of(targetTokens), false);
  }

  /** Returns the choice of {@link RopeAdvisor} among the methods that cost no time. */
  static Auto autoFast() {
    return new Auto(OptionalInt.empty(), true);
  }
}
