package dev.gatun.eval;

import dev.gatun.Cancellation;
import dev.gatun.LlamaContext;
import dev.gatun.kv.EvictionOptions;
import dev.gatun.kv.EvictionPolicy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;

/** All budgets of one policy in one mode; measured once. */
abstract class EvictionRun {
  /** Cells beside those of prompt and answer, for policies that read more to look at attention. */
  static final int SPARE = 128;

  final EvalConfiguration configuration;
  final int contextTokens;
  final EvictionMode mode;
  final Optional<EvictionPolicy> policy;
  final List<Double> budgets;
  private Optional<EvictionRun> full = Optional.empty();
  private List<EvalPoint> points = List.of();

  EvictionRun(
      EvalConfiguration configuration,
      int contextTokens,
      EvictionMode mode,
      Optional<EvictionPolicy> policy,
      List<Double> budgets) {
    this.configuration = configuration;
    this.contextTokens = contextTokens;
    this.mode = mode;
    this.policy = policy;
    this.budgets = budgets;
  }

  EvictionRun comparedWith(EvictionRun value) {
    full = Optional.of(value);
    return this;
  }

  /** Returns what decides about the texts, in words. */
  abstract String texts();

  /** Returns the tokens that are read for one budget, about. */
  abstract long tokens();

  /** Measures all budgets. */
  abstract List<EvalPoint> measure(
      LlamaContext context, Cancellation cancellation, EvalProgress progress);

  /** Returns the number that is compared with the full cache's. */
  abstract double value(EvalPoint point);

  String identity(int index) {
    return "eviction " + mode.label() + ' ' + name() + " to " + budgets.get(index) + ' ' + texts();
  }

  String name() {
    return policy.map(EvictionPolicy::name).orElse(EvictionResult.FULL);
  }

  List<EvalPoint> points(Cancellation cancellation, EvalProgress progress) {
    if (points.isEmpty()) {
      double compared =
          full.map(f -> f.value(f.points(cancellation, (_, _) -> {}).getFirst()))
              .orElse(Double.NaN);
      List<EvalPoint> measured;
      try (LlamaContext context = newContext()) {
        measured = measure(context, cancellation, progress);
      }
      List<EvalPoint> made = new ArrayList<>();
      for (EvalPoint point : measured) {
        EvictionResult result = point.eviction().orElseThrow();
        made.add(
            point.withEviction(
                new EvictionResult(
                    result.policy(),
                    result.budget(),
                    result.mode(),
                    result.cells(),
                    full.isEmpty() ? value(point) : compared)));
      }
      points = List.copyOf(made);
    }
    return points;
  }

  /** The usual options; of a very small budget the policy still decides about a half. */
  EvictionOptions options(int tokens, int budget) {
    EvictionOptions usual = EvictionOptions.share(budgets.get(budget));
    int left = usual.budgetOf(tokens) - usual.sinks();
    return usual.recent() < left ? usual : usual.withSinks(0).withRecent(Math.max(1, left / 2));
  }

  private LlamaContext newContext() {
    return configuration
        .model()
        .newContext(
            configuration
                .options()
                .withContextTokens(contextTokens + SPARE)
                .withMaxSequences(1)
                .withBatchTokens(configuration.options().microBatchTokens())
                .withRopeScaling(configuration.scaling().at(configuration.model(), contextTokens)));
  }

  /** A point without the full cache's value. */
  EvalPoint point(
      int budget,
      double cells,
      Optional<PerplexityResult> perplexity,
      Optional<RecallResult> recall,
      long nanos) {
    return new EvalPoint(
        configuration.scaling().label(),
        contextTokens,
        OptionalDouble.empty(),
        perplexity,
        recall,
        Duration.ofNanos(nanos),
        Optional.of(new EvictionResult(name(), budgets.get(budget), mode, cells, Double.NaN)));
  }
}
