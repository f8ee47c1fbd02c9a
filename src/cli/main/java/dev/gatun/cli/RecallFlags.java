package dev.gatun.cli;

import dev.gatun.eval.QuestionFormat;
import dev.gatun.eval.RecallOptions;
import dev.gatun.eval.Wording;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** The flags of the commands that hide facts and ask for them. */
final class RecallFlags {
  private int trials = 20;
  private long seed;
  private int answerTokens = 24;
  private QuestionFormat format = QuestionFormat.AUTO;
  private @Nullable String sentence;
  private @Nullable String question;
  private List<Double> depths = List.of();

  void declare(OptionTable table) {
    table
        .value(
            "--trials",
            "N",
            "Prompts for each result (20).",
            v -> trials = Values.whole("--trials", v, 1, 1_000_000))
        .value(SharedFlag.SEED, v -> seed = Values.whole("--seed", v, 0, Integer.MAX_VALUE))
        .value(
            SharedFlag.ANSWER_TOKENS,
            v -> answerTokens = Values.whole("--answer-tokens", v, 1, 4096))
        .value(
            "--format",
            "auto|chat|plain",
            "Ask through the model's chat template, or as plain text (auto).",
            v ->
                format =
                    QuestionFormat.valueOf(
                        Values.word("--format", v, List.of("auto", "chat", "plain"))
                            .toUpperCase(Locale.ROOT)))
        .value(
            "--fact",
            "TEXT",
            "How a pass key is put: {name} and {key} are filled in.",
            v -> sentence = v)
        .value(
            "--question",
            "TEXT",
            "How a pass key is asked for: {name} is filled in.",
            v -> question = v);
  }

  void declareDepths(OptionTable table, String text) {
    table.value("--depths", "LIST", text, v -> depths = depths(v));
  }

  private static List<Double> depths(String value) {
    List<Double> list = new ArrayList<>();
    for (String part : value.split(",", -1)) {
      Values.number("--depths", part, 0, 1);
      list.add(Double.valueOf(part));
    }
    return list;
  }

  /** Returns the depths that were asked for; none when they were not. */
  List<Double> depths() {
    return depths;
  }

  /** Returns options with what the flags say. */
  RecallOptions options(RecallOptions start) {
    Wording words = start.wording();
    return start
        .withTrials(trials)
        .withSeed(seed)
        .withAnswerTokens(answerTokens)
        .withFormat(format)
        .withWording(
            new Wording(
                sentence == null ? words.sentence() : sentence,
                question == null ? words.question() : question));
  }
}
