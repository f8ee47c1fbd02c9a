package dev.gatun.eval;

import dev.gatun.Cancellation;
import dev.gatun.ContextOptions;
import dev.gatun.LlamaModel;
import java.util.ArrayList;
import java.util.List;

/**
 * Perplexity and recall of one model for several scalings and lengths: what each scaling is good
 * for, and how far. Immutable.
 */
public final class Stretch implements EvalTask {
  private final Perplexity perplexity;
  private final Recall recall;

  private Stretch(Perplexity perplexity, Recall recall) {
    this.perplexity = perplexity;
    this.recall = recall;
  }

  /**
   * What is measured for each scaling and length.
   *
   * @param scoring which tokens of a window count
   * @param tokenBudget most tokens in the windows of one point
   * @param recall how recall is measured
   */
  public record Options(Scoring scoring, long tokenBudget, RecallOptions recall) {}

  /**
   * Returns a task for each scaling and length, lengths first.
   *
   * @param model the model
   * @param context KV types, threads and so on
   * @param scalings the scalings
   * @param lengths lengths in tokens
   * @param text for perplexity, and to hide facts in
   * @param options how
   * @throws IllegalArgumentException if the text does not fill one window of a length
   */
  public static List<Stretch> tasks(
      LlamaModel model,
      ContextOptions context,
      List<ContextScaling> scalings,
      List<Integer> lengths,
      String text,
      Options options) {
    int[] tokens = Perplexity.tokens(model, text);
    List<Stretch> tasks = new ArrayList<>();
    for (int length : lengths) {
      PerplexityOptions perplexity =
          PerplexityOptions.of(length)
              .withScoring(options.scoring())
              .withTokenBudget(options.tokenBudget());
      for (ContextScaling scaling : scalings) {
        EvalConfiguration configuration = new EvalConfiguration(model, context, scaling);
        tasks.add(
            new Stretch(
                Perplexity.of(configuration, tokens, perplexity),
                Recall.of(configuration, text, length, options.recall())));
      }
    }
    return tasks;
  }

  @Override
  public String identity() {
    return "stretch: " + perplexity.identity() + "; " + recall.identity();
  }

  @Override
  public long tokens() {
    return perplexity.tokens() + recall.tokens();
  }

  @Override
  public EvalPoint run(Cancellation cancellation, EvalProgress progress) {
    EvalPoint first = perplexity.run(cancellation, progress);
    EvalPoint second =
        recall.run(
            cancellation,
            (done, soFar) -> progress.onProgress(perplexity.tokens() + done, both(first, soFar)));
    return both(first, second);
  }

  private static EvalPoint both(EvalPoint perplexity, EvalPoint recall) {
    return new EvalPoint(
        recall.method(),
        recall.contextTokens(),
        recall.depth(),
        perplexity.perplexity(),
        recall.recall(),
        perplexity.time().plus(recall.time()));
  }
}
