package dev.gatun.eval;

import dev.gatun.LlamaModel;
import dev.gatun.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The questions of one length: one to four facts among prose, one of them asked. Made when they are
 * first asked for, once for all policies.
 *
 * <p>Thread: one at a time.
 */
final class EvictionQuestions {
  private static final int MOST_FACTS = 4;

  /**
   * One prompt.
   *
   * @param tokens the prompt
   * @param textTokens tokens before the question
   * @param fact what is asked
   */
  record Question(int[] tokens, int textTokens, Fact fact) {
    int questionTokens() {
      return tokens.length - textTokens;
    }
  }

  private final EvalConfiguration configuration;
  private final String prose;
  private final int contextTokens;
  private final RecallOptions options;
  private List<Question> questions = List.of();

  EvictionQuestions(
      EvalConfiguration configuration, String prose, int contextTokens, RecallOptions options) {
    this.configuration = configuration;
    this.prose = prose;
    this.contextTokens = contextTokens;
    this.options = options;
  }

  /** Returns what decides about them, in words. */
  String identity() {
    return configuration.identity(contextTokens)
        + ' '
        + options
        + " with 1 to "
        + MOST_FACTS
        + " facts in "
        + EvalLog.digest(prose);
  }

  QuestionFormat.Frame frame() {
    return options.format().frame(configuration.model());
  }

  List<Question> all() {
    if (questions.isEmpty()) {
      questions = make();
    }
    return questions;
  }

  private List<Question> make() {
    LlamaModel model = configuration.model();
    Tokenizer tokenizer = model.tokenizer();
    QuestionFormat.Frame frame = frame();
    Haystack haystack = new Haystack(prose, text -> tokenizer.encode(text, true, true).length);
    List<Question> made = new ArrayList<>(options.trials());
    int kinds = options.kinds().size();
    for (int i = 0; i < options.trials(); i++) {
      int facts = 1 + i / kinds % MOST_FACTS; // every kind with every number
      Recall.Trial trial =
          Recall.of(configuration, prose, contextTokens, options.withFacts(facts))
              .trial(haystack, frame, i);
      Fact fact = trial.asked().getFirst();
      int[] prompt = tokenizer.encode(trial.prompt(frame, fact), true, true);
      int[] document = tokenizer.encode(trial.document(), true, true);
      int common = Arrays.mismatch(document, prompt);
      made.add(new Question(prompt, common < 0 ? document.length : common, fact));
    }
    return List.copyOf(made);
  }
}
