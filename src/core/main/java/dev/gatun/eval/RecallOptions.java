package dev.gatun.eval;

import java.util.EnumSet;
import java.util.List;
import java.util.Objects;
import java.util.OptionalDouble;

/**
 * How recall is measured. Immutable; start from {@link #passkey()} or {@link #needles(int)}.
 *
 * @param kinds kinds of the hidden facts, taken in turn
 * @param facts facts in each prompt
 * @param askAll whether all facts are asked for, one after the other; else the first one
 * @param depth where the first fact is hidden, 0 at the beginning of the text, 1 at its end; empty
 *     for a random place. The other facts are at random places
 * @param trials prompts
 * @param seed where chance comes from: the same seed gives the same prompts for every model with
 *     the same vocabulary and for every scaling
 * @param answerTokens most tokens of an answer; the prompt and these fill the context exactly
 * @param format how text and question become a prompt
 * @param wording how pass keys are put
 */
public record RecallOptions(
    List<FactKind> kinds,
    int facts,
    boolean askAll,
    OptionalDouble depth,
    int trials,
    long seed,
    int answerTokens,
    QuestionFormat format,
    Wording wording) {
  private static final int TRIALS = 20;
  private static final int ANSWER_TOKENS = 24;

  /** Copies the list and checks the ranges. */
  public RecallOptions {
    kinds = List.copyOf(kinds);
    Objects.requireNonNull(format, "format");
    Objects.requireNonNull(wording, "wording");
    if (kinds.isEmpty()) {
      throw new IllegalArgumentException("name at least one kind of fact");
    }
    if (facts < 1 || facts > Facts.MOST) {
      throw new IllegalArgumentException(
          "the number of facts must be from 1 to %d, but is %d".formatted(Facts.MOST, facts));
    }
    if (depth.isPresent() && !(depth.getAsDouble() >= 0 && depth.getAsDouble() <= 1)) {
      throw new IllegalArgumentException(
          "the depth must be from 0 to 1, but is " + depth.getAsDouble());
    }
    if (trials < 1) {
      throw new IllegalArgumentException(
          "the number of trials must be at least 1, but is " + trials);
    }
    if (answerTokens < 1) {
      throw new IllegalArgumentException(
          "an answer needs at least one token, but may have " + answerTokens);
    }
  }

  /** Returns one pass key at a random depth, 20 trials. */
  public static RecallOptions passkey() {
    return new RecallOptions(
        List.of(FactKind.PASS_KEY),
        1,
        false,
        OptionalDouble.empty(),
        TRIALS,
        0,
        ANSWER_TOKENS,
        QuestionFormat.AUTO,
        Wording.defaults());
  }

  /**
   * Returns facts of all kinds, of which the first is asked for, 20 trials.
   *
   * @param facts facts in each prompt, 1 to 30
   */
  public static RecallOptions needles(int facts) {
    return passkey().withKinds(List.copyOf(EnumSet.allOf(FactKind.class))).withFacts(facts);
  }

  /** Returns a copy with other kinds of facts. */
  public RecallOptions withKinds(List<FactKind> value) {
    return new RecallOptions(
        value, facts, askAll, depth, trials, seed, answerTokens, format, wording);
  }

  /** Returns a copy with another number of facts. */
  public RecallOptions withFacts(int value) {
    return new RecallOptions(
        kinds, value, askAll, depth, trials, seed, answerTokens, format, wording);
  }

  /** Returns a copy that asks for all facts, or for the first. */
  public RecallOptions withAskAll(boolean value) {
    return new RecallOptions(
        kinds, facts, value, depth, trials, seed, answerTokens, format, wording);
  }

  /** Returns a copy with a fixed depth of the first fact. */
  public RecallOptions withDepth(double value) {
    return new RecallOptions(
        kinds,
        facts,
        askAll,
        OptionalDouble.of(value),
        trials,
        seed,
        answerTokens,
        format,
        wording);
  }

  /** Returns a copy with another number of trials. */
  public RecallOptions withTrials(int value) {
    return new RecallOptions(
        kinds, facts, askAll, depth, value, seed, answerTokens, format, wording);
  }

  /** Returns a copy with another seed. */
  public RecallOptions withSeed(long value) {
    return new RecallOptions(
        kinds, facts, askAll, depth, trials, value, answerTokens, format, wording);
  }

  /** Returns a copy with another length of answers, in tokens. */
  public RecallOptions withAnswerTokens(int value) {
    return new RecallOptions(kinds, facts, askAll, depth, trials, seed, value, format, wording);
  }

  /** Returns a copy with another way to make a prompt. */
  public RecallOptions withFormat(QuestionFormat value) {
    return new RecallOptions(
        kinds, facts, askAll, depth, trials, seed, answerTokens, value, wording);
  }

  /** Returns a copy with other words for pass keys. */
  public RecallOptions withWording(Wording value) {
    return new RecallOptions(
        kinds, facts, askAll, depth, trials, seed, answerTokens, format, value);
  }
}
