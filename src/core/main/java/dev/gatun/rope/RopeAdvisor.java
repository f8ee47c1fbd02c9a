package dev.gatun.rope;

import dev.gatun.rope.RopeFacts.Trait;
import java.util.ArrayList;
import java.util.List;

/**
 * Chooses a position scaling for a model and a length. The rules follow what was measured: up to
 * twice the trained length YaRN loses next to nothing; beyond it ReRoPE with a window of a quarter
 * of the trained length and log-n queries keeps both perplexity and recall, for a slower attention.
 */
public final class RopeAdvisor {
  /**
   * Up to this ratio YaRN is chosen even where a two-band method is possible. On the built-in model
   * it finds 99 of 100 pass keys at 1.5 times the trained length and 97 at twice.
   */
  static final double YARN_RATIO = 1.5;

  private RopeAdvisor() {}

  /**
   * Chooses.
   *
   * @param facts what is known of the model
   * @param contextTokens length in tokens that is to be reached, at least 1
   * @param fast whether to choose only among methods that cost no time
   * @param cpuOnly whether the model runs on the CPU alone; two-band methods need it
   * @return a scaling that {@link RopeChecks#requireApplicable} accepts
   */
  public static RopeChoice choose(
      RopeFacts facts, int contextTokens, boolean fast, boolean cpuOnly) {
    Checks.context(contextTokens);
    int trained = facts.trainedTokens();
    double ratio = trained == 0 ? 0 : (double) contextTokens / trained;
    if (trained == 0) {
      return asItIs(ratio, "the file states no trained length");
    }
    if (ratio <= 1) {
      return asItIs(ratio, "it fits into the trained length");
    }
    for (Trait trait : List.of(Trait.NO_ROPE, Trait.SEVERAL_AXES, Trait.FULL_LAYERS_UNROTATED)) {
      if (facts.has(trait)) {
        return asItIs(ratio, trait.words() + ", so scaling cannot help");
      }
    }
    if (facts.dimensions() == 0) {
      return asItIs(ratio, "the file does not say how positions are rotated");
    }
    List<String> reasons = new ArrayList<>();
    boolean twoBand = cpuOnly && !fast && RopeChecks.twoBandHindrance(facts).isEmpty();
    if (twoBand && (ratio > YARN_RATIO || facts.isScaled())) {
      reasons.add("far keys stay in the trained range, at the price of a slower attention");
      return new RopeChoice(RopeScaling.rerope().resolved(trained, contextTokens), ratio, reasons);
    }
    RopeScaling scaling = stretched(facts, contextTokens, ratio, reasons);
    if (scaling instanceof RopeScaling.ModelDefault) {
      return new RopeChoice(scaling, ratio, reasons);
    }
    if (ratio > YARN_RATIO && !twoBand) {
      RopeChecks.twoBandHindrance(facts)
          .ifPresentOrElse(
              words -> reasons.add(words + ", which rules ReRoPE out"),
              () ->
                  reasons.add(
                      fast
                          ? "ReRoPE would recall more but is slower"
                          : "ReRoPE would recall more but needs the CPU alone"));
    }
    for (Trait trait :
        List.of(Trait.SLIDING_WINDOW, Trait.SOME_LAYERS_UNROTATED, Trait.RECURRENT)) {
      if (facts.has(trait)) {
        reasons.add(trait.words() + ", which scaling does not reach");
      }
    }
    return new RopeChoice(scaling, ratio, reasons);
  }

  /** Stretches the model by its frequencies, further than the file does if that does it already. */
  private static RopeScaling stretched(
      RopeFacts facts, int contextTokens, double ratio, List<String> reasons) {
    if (!facts.isScaled()) {
      reasons.add("YaRN loses the least of the methods that cost no time");
      return RopeScaling.yarn(ratio);
    }
    boolean tensors = facts.has(Trait.FREQUENCY_TENSOR) || facts.has(Trait.LONGROPE_TENSORS);
    if (!tensors && facts.scalingType().equals("yarn") && facts.originalTokens() > 0) {
      double factor = (double) contextTokens / facts.originalTokens();
      if (factor >= 1) {
        reasons.add(
            "it replaces the file's own YaRN, from the original %,d tokens on"
                .formatted(facts.originalTokens()));
        return RopeScaling.yarn(factor).withOriginalTokens(facts.originalTokens());
      }
    }
    if (!tensors && facts.scalingType().equals("linear")) {
      reasons.add("it stretches the file's own linear scaling further");
      return new RopeScaling.Frequency(0, 1 / (facts.scalingFactor() * ratio));
    }
    reasons.add(
        "the file scales positions by itself and does not say from which length, so that no other scaling can replace it; expect worse text beyond %,d tokens"
            .formatted(facts.trainedTokens()));
    return RopeScaling.modelDefault();
  }

  private static RopeChoice asItIs(double ratio, String reason) {
    return new RopeChoice(RopeScaling.modelDefault(), ratio, List.of(reason));
  }
}
