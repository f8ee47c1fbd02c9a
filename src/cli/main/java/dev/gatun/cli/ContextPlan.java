package dev.gatun.cli;

import dev.gatun.ContextOptions;
import dev.gatun.FlashAttention;
import dev.gatun.LlamaModel;
import dev.gatun.rope.Auto;
import dev.gatun.rope.RopeAdvisor;
import dev.gatun.rope.RopeChoice;
import dev.gatun.rope.RopeFacts;
import dev.gatun.rope.RopeScaling;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * How large a context is made for a text, and how positions are scaled when that is more than the
 * model was trained for.
 *
 * @param options what the context is created with
 * @param note one line for the user, when something was chosen that was not asked for
 */
record ContextPlan(ContextOptions options, Optional<String> note) {
  /**
   * Room left for an answer of unknown length when the text itself nearly fills the trained
   * context.
   */
  private static final int ANSWER_TOKENS = 64;

  /**
   * Without another wish a context has room for so much more than the text: KV memory is not free.
   */
  private static final int COMFORT_TOKENS = 4096;

  /**
   * Plans a context for a model; arguments as in the other method.
   *
   * @throws CliException if the text does not fit into the size that was asked for
   */
  static ContextPlan of(
      int promptTokens, OptionalInt answerTokens, LlamaModel model, ContextFlags flags) {
    return of(
        promptTokens,
        answerTokens,
        limit(model),
        flags,
        (auto, tokens) ->
            RopeAdvisor.choose(
                RopeFacts.of(model.file()),
                auto.targetTokens().orElse(tokens),
                auto.fast(),
                model.isOnCpu()));
  }

  /**
   * Plans a context.
   *
   * @param promptTokens tokens of the text
   * @param answerTokens most tokens of the answer, when that is known
   * @param trainedTokens tokens that the model was trained for; 0 when its length is not limited
   * @param flags what the user asked for
   * @param advisor chooses the scaling for a length in tokens; asked only when there is a choice
   * @throws CliException if the text does not fit into the size that was asked for
   */
  static ContextPlan of(
      int promptTokens,
      OptionalInt answerTokens,
      int trainedTokens,
      ContextFlags flags,
      Advisor advisor) {
    long needed = (long) promptTokens + answerTokens.orElse(answerReserve(trainedTokens));
    OptionalInt asked = flags.contextTokens();
    if (asked.isPresent() && promptTokens >= asked.getAsInt()) {
      throw CliException.space(
          "the prompt has "
              + Values.grouped(promptTokens)
              + " tokens, but the context holds "
              + Values.grouped(asked.getAsInt())
              + " and an answer needs room too; raise -c/--ctx-size to at least "
              + Values.grouped(needed)
              + " or leave it out");
    }
    if (needed > 1 << 30) {
      throw CliException.space(
          "the prompt has " + Values.grouped(promptTokens) + " tokens; give less text");
    }
    Optional<RopeScaling> fixed = flags.rope.fixed();
    long wanted = asked.isPresent() ? asked.getAsInt() : needed;
    if (trainedTokens == 0 || wanted <= trainedTokens) {
      ContextOptions options = flags.options();
      if (asked.isEmpty()) {
        options = options.withContextTokens(comfortable(promptTokens, needed, trainedTokens));
      }
      if (fixed.isPresent()) {
        options = options.withRopeScaling(fixed.get());
      }
      return new ContextPlan(options, Optional.empty());
    }
    int factor = (int) ((wanted + trainedTokens - 1) / trainedTokens);
    int size =
        asked.isPresent()
            ? asked.getAsInt()
            : (int) Math.min(1 << 30, (long) factor * trainedTokens);
    ContextOptions options = flags.options().withContextTokens(size);
    if (fixed.isPresent()) {
      return new ContextPlan(options.withRopeScaling(fixed.get()), Optional.empty());
    }
    RopeScaling scaling = flags.rope.stretched(factor);
    String reasons = "";
    if (scaling instanceof Auto auto) {
      if (flags.options().flashAttention() == FlashAttention.OFF) {
        auto = new Auto(auto.targetTokens(), true); // two bands take the place of flash attention
      }
      RopeChoice choice =
          advisor.choose(auto, (int) Math.min(1 << 30, (long) factor * trainedTokens));
      scaling = choice.scaling();
      reasons = " (" + String.join("; ", choice.reasons()) + ")";
    }
    return new ContextPlan(
        options.withRopeScaling(scaling),
        Optional.of(
            "the model was trained for "
                + Values.grouped(trainedTokens)
                + " tokens and "
                + Values.grouped(wanted)
                + " are needed: using "
                + scaling.describe()
                + " and a context of "
                + Values.grouped(size)
                + reasons));
  }

  /** Chooses a scaling for a length in tokens. */
  @FunctionalInterface
  interface Advisor {
    RopeChoice choose(Auto auto, int tokens);
  }

  /**
   * Returns the length that a model was trained for; 0 when its kind has no positions to run out
   * of.
   */
  static int limit(LlamaModel model) {
    return model.isRecurrent() && !model.isHybrid() ? 0 : model.trainedContextTokens();
  }

  private static int answerReserve(int trainedTokens) {
    return trainedTokens == 0 ? ANSWER_TOKENS : Math.min(ANSWER_TOKENS, trainedTokens / 4);
  }

  private static int comfortable(int promptTokens, long needed, int trainedTokens) {
    long comfort = Math.max(needed, (long) promptTokens + COMFORT_TOKENS);
    return (int) Math.max(2, trainedTokens == 0 ? comfort : Math.min(comfort, trainedTokens));
  }
}
