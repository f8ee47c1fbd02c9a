package dev.gatun.cli;

import java.time.Instant;
import java.util.List;

/**
 * The outcome of one test.
 *
 * @param test what was measured
 * @param modelFile the model's file
 * @param modelType what the model calls itself
 * @param modelBytes bytes of its tensors
 * @param modelParameters number of its parameters
 * @param backends names of the back ends in use
 * @param llamaVersion release of llama.cpp
 * @param at when the test began
 * @param nanos time of each repetition
 */
record BenchResult(
    BenchGrid.Test test,
    String modelFile,
    String modelType,
    long modelBytes,
    long modelParameters,
    String backends,
    String llamaVersion,
    Instant at,
    List<Long> nanos) {

  BenchResult {
    nanos = List.copyOf(nanos);
  }

  double meanNanos() {
    return mean(nanos.stream().mapToDouble(Long::doubleValue).toArray());
  }

  double deviationNanos() {
    return deviation(nanos.stream().mapToDouble(Long::doubleValue).toArray());
  }

  /** Tokens a second: the mean of the repetitions' rates. */
  double meanRate() {
    return mean(rates());
  }

  /** The sample standard deviation of the rates; 0 for one repetition. */
  double deviationRate() {
    return deviation(rates());
  }

  double[] rates() {
    int tokens = test.promptTokens() + test.answerTokens();
    return nanos.stream().mapToDouble(n -> tokens * 1e9 / n).toArray();
  }

  private static double mean(double[] values) {
    double sum = 0;
    for (double value : values) {
      sum += value;
    }
    return sum / values.length;
  }

  private static double deviation(double[] values) {
    if (values.length < 2) {
      return 0;
    }
    double mean = mean(values);
    double sum = 0;
    for (double value : values) {
      sum += (value - mean) * (value - mean);
    }
    return Math.sqrt(sum / (values.length - 1));
  }
}
