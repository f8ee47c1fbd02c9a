package dev.gatun.eval;

import dev.gatun.Cancellation;
import dev.gatun.GenerationOptions;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaSession;
import dev.gatun.Tokenizer;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.sampling.Sampler;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;

/**
 * Hides facts among sentences of prose, asks for them and counts the right answers: the pass-key
 * test (one fact) and the needle test (several). The answers are greedy; an answer is right when it
 * holds the digits, the place, the town or the work asked for.
 *
 * <p>Source of the pass-key test: Mohtashami and Jaggi, "Landmark Attention", 2023, section 4.2.
 *
 * <p>Immutable.
 */
public final class Recall implements EvalTask {
  private final EvalConfiguration configuration;
  private final String prose;
  private final int contextTokens;
  private final RecallOptions options;

  private Recall(
      EvalConfiguration configuration, String prose, int contextTokens, RecallOptions options) {
    this.configuration = configuration;
    this.prose = prose;
    this.contextTokens = contextTokens;
    this.options = options;
    if (contextTokens <= options.answerTokens()) {
      throw new IllegalArgumentException(
          "a context of %,d tokens has no room for an answer of %,d; give a longer one"
              .formatted(contextTokens, options.answerTokens()));
    }
  }

  /**
   * Returns a task.
   *
   * @param configuration what to measure
   * @param prose the text that facts are hidden in
   * @param contextTokens length of prompt and answer together, in tokens
   * @param options how
   */
  public static Recall of(
      EvalConfiguration configuration, String prose, int contextTokens, RecallOptions options) {
    return new Recall(configuration, prose, contextTokens, options);
  }

  /**
   * Returns a task for each cell of a grid, lengths first.
   *
   * @param configuration what to measure
   * @param prose the text that facts are hidden in
   * @param lengths lengths in tokens
   * @param depths depths of the fact that is asked for, 0 to 1
   * @param options how; the depth in it does not count
   */
  public static List<Recall> grid(
      EvalConfiguration configuration,
      String prose,
      List<Integer> lengths,
      List<Double> depths,
      RecallOptions options) {
    List<Recall> tasks = new ArrayList<>();
    for (int length : lengths) {
      for (double depth : depths) {
        tasks.add(of(configuration, prose, length, options.withDepth(depth)));
      }
    }
    return tasks;
  }

  @Override
  public String identity() {
    return "recall "
        + configuration.identity(contextTokens)
        + ' '
        + options
        + " in "
        + EvalLog.digest(prose);
  }

  @Override
  public long tokens() {
    return (long) options.trials() * contextTokens;
  }

  @Override
  public EvalPoint run(Cancellation cancellation, EvalProgress progress) {
    long start = System.nanoTime();
    Tokenizer tokenizer = configuration.model().tokenizer();
    QuestionFormat.Frame frame = options.format().frame(configuration.model());
    Haystack haystack = new Haystack(prose, text -> tokenizer.encode(text, true, true).length);
    GenerationOptions generation =
        GenerationOptions.defaults()
            .withSampler(Sampler.greedy())
            .withMaxTokens(options.answerTokens())
            .withStops(frame.stops())
            .withCancellation(cancellation);
    int correct = 0;
    int asked = 0;
    try (LlamaContext context = configuration.newContext(contextTokens);
        LlamaSession session = context.newSession()) {
      for (int i = 0; i < options.trials(); i++) {
        Trial trial = trial(haystack, frame, i);
        for (Fact fact : trial.asked()) {
          if (cancellation.isCancelled()) {
            throw new OperationCancelledException("the evaluation was cancelled");
          }
          int[] prompt = tokenizer.encode(trial.prompt(frame, fact), true, true);
          String answer = answer(session, prompt, generation);
          if (cancellation.isCancelled()) {
            throw new OperationCancelledException("the evaluation was cancelled");
          }
          asked++;
          correct += fact.isIn(answer) ? 1 : 0;
        }
        progress.onProgress((long) (i + 1) * contextTokens, point(start, correct, asked, i + 1));
      }
    }
    return point(start, correct, asked, options.trials());
  }

  private EvalPoint point(long start, int correct, int asked, int trials) {
    return new EvalPoint(
        configuration.scaling().label(),
        contextTokens,
        options.depth(),
        Optional.empty(),
        Optional.of(new RecallResult(correct, asked, trials)),
        Duration.ofNanos(System.nanoTime() - start));
  }

  /** Reads a prompt, of which the session may hold the beginning already, and the answer. */
  private static String answer(LlamaSession session, int[] prompt, GenerationOptions generation) {
    int common = Math.min(prompt.length - 1, Arrays.mismatch(session.tokens(), prompt));
    try {
      session.truncate(Math.max(0, common));
    } catch (UnsupportedOperationForModelException e) {
      session.clear(); // a state that cannot step back is read anew
    }
    int held = session.size();
    return session.generate(Arrays.copyOfRange(prompt, held, prompt.length), generation).text();
  }

  /**
   * One prompt.
   *
   * @param document the text with the facts, from the beginning of the prompt
   * @param asked the facts that are asked for
   */
  record Trial(String document, List<Fact> asked) {
    String prompt(QuestionFormat.Frame frame, Fact fact) {
      return document + "\n" + fact.question() + frame.after();
    }
  }

  /**
   * Makes a prompt: with the longest question it fills the context exactly, but for the answer.
   *
   * @param index number of the trial
   */
  Trial trial(Haystack haystack, QuestionFormat.Frame frame, int index) {
    SplittableRandom random =
        new SplittableRandom(options.seed() * 1_000_003 + contextTokens * 7_919L + index);
    List<FactKind> kinds = new ArrayList<>(options.kinds());
    Collections.rotate(kinds, -index);
    List<Fact> facts = Facts.draw(kinds, options.facts(), options.wording(), random);
    List<Haystack.Needle> needles = new ArrayList<>();
    for (Fact fact : facts) {
      double depth = random.nextDouble();
      needles.add(
          new Haystack.Needle(
              fact.sentence(), needles.isEmpty() ? options.depth().orElse(depth) : depth));
    }
    List<Fact> asked = options.askAll() ? facts : facts.subList(0, 1);
    Tokenizer tokenizer = configuration.model().tokenizer();
    String longest = "";
    int most = -1;
    for (Fact fact : asked) {
      int tokens = tokenizer.encode("\n" + fact.question()).length;
      if (tokens > most) {
        most = tokens;
        longest = fact.question();
      }
    }
    String after = "\n" + longest + frame.after();
    String prompt =
        haystack.prompt(
            contextTokens - options.answerTokens(), frame.before(), needles, after, random);
    return new Trial(prompt.substring(0, prompt.length() - after.length()), asked);
  }
}
