package dev.gatun.eval;

import dev.gatun.Cancellation;
import dev.gatun.kv.EvictionPolicy;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What a cache that was cut to a budget still answers, for several policies and budgets, beside the
 * full cache. All budgets of a policy are measured together, from one look at each text; the first
 * of their tasks does it.
 *
 * <p>Thread: one at a time.
 */
public final class Eviction implements EvalTask {
  private final EvictionRun run;
  private final int index;

  private Eviction(EvictionRun run, int index) {
    this.run = run;
    this.index = index;
  }

  /**
   * What is measured.
   *
   * @param policies the policies
   * @param budgets shares of the cells that stay, above 0, at most 1
   * @param modes when cells are evicted
   * @param recall how many questions, from which seed; the number of facts does not count: there
   *     are one to four
   * @param textWindows windows of the text for {@link EvictionMode#TEXT}
   */
  public record Options(
      List<EvictionPolicy> policies,
      List<Double> budgets,
      List<EvictionMode> modes,
      RecallOptions recall,
      int textWindows) {
    /** Copies the lists and checks them. */
    public Options {
      policies = List.copyOf(policies);
      budgets = List.copyOf(budgets);
      modes = List.copyOf(modes);
      if (policies.isEmpty() || budgets.isEmpty() || modes.isEmpty()) {
        throw new IllegalArgumentException("name at least one policy, one budget and one mode");
      }
      for (double budget : budgets) {
        if (!(budget > 0 && budget <= 1)) {
          throw new IllegalArgumentException(
              "a budget is a share above 0 and at most 1, but is " + budget);
        }
      }
      if (textWindows < 1) {
        throw new IllegalArgumentException("measure at least one window of the text");
      }
    }
  }

  /**
   * Returns a task for each policy and budget, mode by mode; the full cache first.
   *
   * @param configuration what to measure
   * @param prose the text that facts are hidden in, and whose perplexity is measured
   * @param contextTokens length of prompt and answer together, or of a window of the text
   * @param options how
   */
  public static List<Eviction> tasks(
      EvalConfiguration configuration, String prose, int contextTokens, Options options) {
    EvictionQuestions questions =
        new EvictionQuestions(configuration, prose, contextTokens, options.recall());
    List<Eviction> tasks = new ArrayList<>();
    for (EvictionMode mode : options.modes()) {
      EvictionRun full =
          run(configuration, prose, contextTokens, options, questions, mode, Optional.empty());
      tasks.add(new Eviction(full, 0));
      for (EvictionPolicy policy : options.policies()) {
        EvictionRun run =
            run(configuration, prose, contextTokens, options, questions, mode, Optional.of(policy))
                .comparedWith(full);
        for (int i = 0; i < options.budgets().size(); i++) {
          tasks.add(new Eviction(run, i));
        }
      }
    }
    return tasks;
  }

  private static EvictionRun run(
      EvalConfiguration configuration,
      String prose,
      int contextTokens,
      Options options,
      EvictionQuestions questions,
      EvictionMode mode,
      Optional<EvictionPolicy> policy) {
    List<Double> budgets = policy.isPresent() ? options.budgets() : List.of(1.0);
    return mode == EvictionMode.TEXT
        ? new EvictionTexts(
            configuration, prose, contextTokens, options.textWindows(), policy, budgets)
        : new EvictionAnswers(
            configuration, questions, contextTokens, options.recall(), mode, policy, budgets);
  }

  @Override
  public String identity() {
    return run.identity(index);
  }

  @Override
  public long tokens() {
    return run.tokens();
  }

  @Override
  public EvalPoint run(Cancellation cancellation, EvalProgress progress) {
    return run.points(cancellation, progress).get(index);
  }
}
