package dev.gatun.eval;

import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * What was measured of one method at one length. Immutable.
 *
 * @param method label of the scaling
 * @param contextTokens length in tokens
 * @param depth where the fact was hidden, 0 at the beginning, 1 at the end; empty when that does
 *     not apply or was random
 * @param perplexity perplexity, when it was measured
 * @param recall recall, when it was measured
 * @param time how long it took
 * @param eviction which cells stayed, when some were evicted or could have been
 */
public record EvalPoint(
    String method,
    int contextTokens,
    OptionalDouble depth,
    Optional<PerplexityResult> perplexity,
    Optional<RecallResult> recall,
    Duration time,
    Optional<EvictionResult> eviction) {
  /** Checks that all are there. */
  public EvalPoint {
    Objects.requireNonNull(method, "method");
    Objects.requireNonNull(time, "time");
    Objects.requireNonNull(eviction, "eviction");
  }

  /** A point without an eviction. */
  public EvalPoint(
      String method,
      int contextTokens,
      OptionalDouble depth,
      Optional<PerplexityResult> perplexity,
      Optional<RecallResult> recall,
      Duration time) {
    this(method, contextTokens, depth, perplexity, recall, time, Optional.empty());
  }

  /** Returns a copy that says which cells stayed. */
  public EvalPoint withEviction(EvictionResult value) {
    return new EvalPoint(
        method, contextTokens, depth, perplexity, recall, time, Optional.of(value));
  }

  /**
   * Returns the point as one line of JSON: {@code method}, {@code context}, {@code policy}, {@code
   * budget}, {@code mode}, {@code cells}, {@code fullAccuracy} or {@code fullPerplexity}, {@code
   * ofFull} (accuracy as a share of the full cache's), {@code depth}, {@code perplexity}, {@code
   * standardError}, {@code tokens}, {@code windows}, {@code bins}, {@code klMean}, {@code
   * klMaximum}, {@code topAgreement}, {@code referencePerplexity}, {@code accuracy}, {@code
   * correct}, {@code asked}, {@code trials}, {@code seconds}, each where there is one. A number
   * that is not finite is {@code null}.
   */
  public String toJson() {
    return PointJson.write(this);
  }
}
