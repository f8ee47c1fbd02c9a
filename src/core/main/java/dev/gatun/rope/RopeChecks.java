package dev.gatun.rope;

import dev.gatun.error.ContextCreateException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.rope.RopeFacts.Trait;
import java.util.List;
import java.util.Optional;

/** Refuses a scaling that a model cannot have, before a context is made. */
public final class RopeChecks {
  private static final List<Trait> TWO_BAND_HINDRANCES =
      List.of(
          Trait.NO_ROPE,
          Trait.SEVERAL_AXES,
          Trait.SLIDING_WINDOW,
          Trait.SOME_LAYERS_UNROTATED,
          Trait.FULL_LAYERS_UNROTATED,
          Trait.RECURRENT,
          Trait.LATENT_ATTENTION,
          Trait.NOT_CAUSAL);

  private RopeChecks() {}

  /**
   * Checks that a scaling can work on a model.
   *
   * @throws UnsupportedOperationForModelException if no value of this kind can work on the model
   * @throws ContextCreateException if this value does not fit it, such as a table of another length
   *     or a scaling on top of the file's own
   */
  public static void requireApplicable(RopeScaling scaling, RopeFacts facts) {
    switch (scaling) {
      case RopeScaling.ModelDefault _, RopeScaling.None _, Auto _ -> {}
      case RopeScaling.Frequency _ -> requireRotated(scaling, facts, List.of(Trait.NO_ROPE));
      case StaticScaling table -> {
        requireStretchable(scaling, facts);
        if (facts.isScaled() && !table.replacesFileScaling()) {
          throw scaledTwice(scaling, facts);
        }
        if (table instanceof RopePreset preset) {
          fitting(scaling, () -> preset.requireModel(facts));
        }
        fitting(scaling, () -> table.rotation(facts.basis()));
      }
      case TwoBand band -> {
        twoBandHindrance(facts).ifPresent(words -> refuse(scaling, facts, words));
        facts.basis();
        fitting(scaling, () -> band.resolved(facts.trainedTokens(), facts.trainedTokens()));
      }
      case Dynamic dynamic -> {
        requireStretchable(scaling, facts);
        if (facts.isScaled() && dynamic.family() != Dynamic.Family.AUTO) {
          throw scaledTwice(scaling, facts);
        }
        facts.basis();
      }
    }
  }

  /** Returns what keeps a model from every two-band method, in words; nothing if nothing does. */
  public static Optional<String> twoBandHindrance(RopeFacts facts) {
    return TWO_BAND_HINDRANCES.stream().filter(facts::has).findFirst().map(Trait::words);
  }

  private static void requireStretchable(RopeScaling scaling, RopeFacts facts) {
    requireRotated(
        scaling, facts, List.of(Trait.NO_ROPE, Trait.SEVERAL_AXES, Trait.FULL_LAYERS_UNROTATED));
  }

  private static void requireRotated(RopeScaling scaling, RopeFacts facts, List<Trait> traits) {
    traits.stream()
        .filter(facts::has)
        .findFirst()
        .ifPresent(t -> refuse(scaling, facts, t.words()));
  }

  private static void refuse(RopeScaling scaling, RopeFacts facts, String words) {
    String otherwise =
        scaling instanceof TwoBand ? "choose YaRN or the model's own positions" : "leave it out";
    throw new UnsupportedOperationForModelException(
        "%s cannot work on a model of architecture '%s': %s; %s"
            .formatted(scaling.describe(), facts.architecture(), words, otherwise));
  }

  private static ContextCreateException scaledTwice(RopeScaling scaling, RopeFacts facts) {
    String how =
        facts.has(Trait.FREQUENCY_TENSOR)
            ? Trait.FREQUENCY_TENSOR.words()
            : facts.has(Trait.LONGROPE_TENSORS)
                ? Trait.LONGROPE_TENSORS.words()
                : "its type is '%s' with factor %s"
                    .formatted(facts.scalingType(), Checks.shown(facts.scalingFactor()));
    return new ContextCreateException(
        "%s would scale twice, because the file scales positions by itself (%s); keep the model's own positions, or state the original length in a value that replaces them, as RopeScaling.yarn(factor).withOriginalTokens(%s)"
            .formatted(
                scaling.describe(),
                how,
                facts.originalTokens() == 0 ? "tokens" : facts.originalTokens()));
  }

  private static void fitting(RopeScaling scaling, Runnable check) {
    try {
      check.run();
    } catch (IllegalArgumentException e) {
      throw new ContextCreateException(
          scaling.describe() + " does not fit the model: " + e.getMessage(), e);
    }
  }
}
