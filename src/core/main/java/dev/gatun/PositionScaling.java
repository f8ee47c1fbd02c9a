package dev.gatun;

import dev.gatun.internal.RopeHook;
import dev.gatun.internal.RopeParameters;
import dev.gatun.rope.Auto;
import dev.gatun.rope.Dynamic;
import dev.gatun.rope.FactorTable;
import dev.gatun.rope.Linear;
import dev.gatun.rope.NtkAware;
import dev.gatun.rope.ReRope;
import dev.gatun.rope.RopeAdvisor;
import dev.gatun.rope.RopeBasis;
import dev.gatun.rope.RopeChecks;
import dev.gatun.rope.RopeFacts;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.Rotation;
import dev.gatun.rope.StaticScaling;
import dev.gatun.rope.TwoBand;
import java.util.Optional;

/**
 * The position scaling of one context: what was asked for, what runs now, and what a longer text
 * needs.
 */
final class PositionScaling {
  /**
   * A scaling that takes the place of another.
   *
   * @param scaling the new one
   * @param hook its native settings
   * @param bucketEnd tokens that it is good for
   */
  record Step(RopeScaling scaling, RopeHook hook, int bucketEnd) {}

  /** Scalings that are not derived from the model's rotation need none. */
  private static final RopeBasis NO_BASIS = new RopeBasis(2, 2, 1);

  private final Optional<RopeBasis> basis;
  private final Optional<Dynamic> dynamic;
  private final RopeParameters parameters;
  private RopeScaling current;
  private int bucketEnd;

  private PositionScaling(
      Optional<RopeBasis> basis,
      Optional<Dynamic> dynamic,
      RopeParameters parameters,
      RopeScaling current,
      int bucketEnd) {
    this.basis = basis;
    this.dynamic = dynamic;
    this.parameters = parameters;
    this.current = current;
    this.bucketEnd = bucketEnd;
  }

  /**
   * Resolves what the options ask for.
   *
   * @throws dev.gatun.error.UnsupportedOperationForModelException if the model cannot have it
   */
  static PositionScaling of(LlamaModel model, ContextOptions options, int contextTokens) {
    PositionScaling resolved = resolve(model, options, contextTokens);
    return model.isOnCpu() && options.flashAttention() != FlashAttention.OFF
        ? new PositionScaling(
            resolved.basis,
            resolved.dynamic,
            resolved.parameters.withHook(),
            resolved.current,
            resolved.bucketEnd)
        : resolved;
  }

  private static PositionScaling resolve(
      LlamaModel model, ContextOptions options, int contextTokens) {
    RopeScaling asked = options.ropeScaling();
    boolean yarnInFile = model.metadata().rope().scalingType().orElse("").equals("yarn");
    if (asked instanceof RopeScaling.ModelDefault) {
      // First and without the facts: it is the usual case.
      return fixed(RopeParameters.ofModel(yarnInFile), asked);
    }
    boolean cpuOnly = model.isOnCpu();
    RopeFacts facts = RopeFacts.of(model.file());
    boolean bandsPossible = options.flashAttention() != FlashAttention.OFF;
    if (asked instanceof Auto auto) {
      asked =
          RopeAdvisor.choose(
                  facts,
                  auto.targetTokens().orElse(contextTokens),
                  auto.fast() || !bandsPossible,
                  cpuOnly)
              .scaling();
      if (asked instanceof RopeScaling.ModelDefault) {
        return fixed(RopeParameters.ofModel(yarnInFile), asked);
      }
    }
    RopeChecks.requireApplicable(asked, facts);
    if (asked instanceof RopeScaling.None || asked instanceof RopeScaling.Frequency) {
      return fixed(RopeParameters.of(asked, NO_BASIS, cpuOnly, yarnInFile), asked);
    }
    RopeBasis basis = facts.basis();
    if (asked instanceof Dynamic dynamic) {
      if (dynamic.family() == Dynamic.Family.AUTO
          && (!bandsPossible || RopeChecks.twoBandHindrance(facts).isPresent())) {
        dynamic = new Dynamic(Dynamic.Family.YARN);
      }
      Step first = step(dynamic, basis, 1);
      return new PositionScaling(
          Optional.of(basis),
          Optional.of(dynamic),
          RopeParameters.hooked(first.hook(), dynamic, cpuOnly),
          first.scaling(),
          first.bucketEnd());
    }
    RopeScaling scaling =
        asked instanceof TwoBand bands
            ? bands.resolved(basis.trainedTokens(), contextTokens)
            : asked;
    return new PositionScaling(
        Optional.of(basis),
        Optional.empty(),
        RopeParameters.of(scaling, basis, cpuOnly, yarnInFile),
        scaling,
        Integer.MAX_VALUE);
  }

  /** A scaling that never changes and is not derived from the model's rotation. */
  private static PositionScaling fixed(RopeParameters parameters, RopeScaling scaling) {
    return new PositionScaling(
        Optional.empty(), Optional.empty(), parameters, scaling, Integer.MAX_VALUE);
  }

  /** Returns what the context is created with. */
  RopeParameters parameters() {
    return parameters;
  }

  /** Tells whether two bands run, of which one may be out of reach now. */
  boolean hasFarKeys() {
    return parameters.hook().map(RopeHook::farKind).filter(kind -> kind != 0).isPresent();
  }

  /** Returns the scaling that runs now, with every number chosen. */
  RopeScaling current() {
    return current;
  }

  /** Returns what a text of this many tokens needs in place of what runs now. */
  Optional<Step> growth(int tokens) {
    return tokens <= bucketEnd
        ? Optional.empty()
        : Optional.of(step(dynamic.orElseThrow(), basis.orElseThrow(), tokens));
  }

  /** Returns what an empty text needs in place of what runs now. */
  Optional<Step> restart() {
    return dynamic.isEmpty() || bucketEnd == basis.orElseThrow().trainedTokens()
        ? Optional.empty()
        : Optional.of(step(dynamic.get(), basis.orElseThrow(), 1));
  }

  /**
   * Returns what puts another table in place of the one that runs.
   *
   * @throws IllegalStateException if no table runs
   * @throws IllegalArgumentException if it has another number of factors
   */
  Step replacement(FactorTable table) {
    if (!(current instanceof FactorTable)) {
      throw new IllegalStateException(
          "the context runs %s and not a table; make it withRopeScaling(table)"
              .formatted(current.describe()));
    }
    return new Step(
        table, RopeParameters.hook(table.rotation(basis.orElseThrow())), Integer.MAX_VALUE);
  }

  /** Tells that a step was taken. */
  void taken(Step step) {
    current = step.scaling();
    bucketEnd = step.bucketEnd();
  }

  /**
   * The scaling of a length. Every step of one family has the same kind of hook, which a living
   * context keeps: a table, or two bands of which the far one may be out of reach.
   */
  private static Step step(Dynamic dynamic, RopeBasis basis, int tokens) {
    int trained = basis.trainedTokens();
    boolean trainedLength = tokens <= trained;
    if (dynamic.family() == Dynamic.Family.AUTO) {
      // Its two bands do not depend on the length once it is longer than trained.
      ReRope bands =
          trainedLength
              ? new ReRope(trained, false)
              : RopeScaling.rerope().resolved(trained, tokens);
      return new Step(
          trainedLength ? RopeScaling.none() : bands,
          RopeParameters.hook(bands, trained),
          trainedLength ? trained : Integer.MAX_VALUE);
    }
    int end = Dynamic.bucketEnd(tokens, trained);
    double factor = (double) end / trained;
    StaticScaling scaling =
        switch (dynamic.family()) {
          case LINEAR -> new Linear(factor);
          case NTK_AWARE -> new NtkAware(factor);
          case YARN, AUTO -> RopeScaling.yarn(factor);
        };
    Rotation rotation = scaling.rotation(basis);
    return new Step(
        trainedLength ? RopeScaling.none() : scaling, RopeParameters.hook(rotation), end);
  }
}
