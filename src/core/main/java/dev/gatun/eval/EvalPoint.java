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
 */
public record EvalPoint(
    String method,
    int contextTokens,
    OptionalDouble depth,
    Optional<PerplexityResult> perplexity,
    Optional<RecallResult> recall,
    Duration time) {
  /** Checks that all are there. */
  public EvalPoint {
    Objects.requireNonNull(method, "method");
    Objects.requireNonNull(time, "time");
  }

  /**
   * Returns the point as one line of JSON: {@code method}, {@code context}, {@code depth}, {@code
   * perplexity}, {@code standardError}, {@code tokens}, {@code windows}, {@code bins}, {@code
   * klMean}, {@code klMaximum}, {@code topAgreement}, {@code referencePerplexity}, {@code
   * accuracy}, {@code correct}, {@code asked}, {@code trials}, {@code seconds}, each where there is
   * one. A number that is not finite is {@code null}.
   */
  public String toJson() {
    return PointJson.write(this);
  }
}
