package dev.gatun.eval;

import dev.gatun.internal.LogProbabilities;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Sums over scored tokens. Nothing is allocated for a token. */
final class Scores {
  private final int vocabulary;
  private final int length;
  private final double[] binSums;
  private final long[] binCounts;
  private final boolean compares;
  private double sum;
  private double squares;
  private long count;
  private double referenceSum;
  private double divergenceSum;
  private double divergenceMaximum;
  private long agreements;

  /**
   * Starts at nothing.
   *
   * @param vocabulary number of logits
   * @param length tokens of a window
   * @param bins number of parts of a window
   * @param compares whether there is a reference
   */
  Scores(int vocabulary, int length, int bins, boolean compares) {
    this.vocabulary = vocabulary;
    this.length = length;
    this.binSums = new double[bins];
    this.binCounts = new long[bins];
    this.compares = compares;
  }

  /**
   * Adds a token.
   *
   * @param logits float32, {@code [vocabulary]}
   * @param position position of the foreseen token in its window
   * @param token that token
   */
  void add(MemorySegment logits, int position, int token) {
    add(
        LogProbabilities.logSumExp(logits, vocabulary)
            - logits.getAtIndex(ValueLayout.JAVA_FLOAT, token),
        position);
  }

  private void add(double loss, int position) {
    sum += loss;
    squares += loss * loss;
    count++;
    if (binSums.length > 0) {
      int bin = (int) ((long) position * binSums.length / length);
      binSums[bin] += loss;
      binCounts[bin]++;
    }
  }

  /**
   * Adds a token and compares with a reference: KL(reference ‖ measured) is the sum over all tokens
   * of p (ln p - ln q), p the reference's probability and q the measured one.
   *
   * @param logits float32, {@code [vocabulary]}
   * @param reference float32, at least {@code [row + 1, vocabulary]}
   * @param row row of the reference
   * @param position position of the foreseen token in its window
   * @param token that token
   */
  void add(MemorySegment logits, MemorySegment reference, int row, int position, int token) {
    MemorySegment other = reference.asSlice(4L * vocabulary * row, 4L * vocabulary);
    double normal = LogProbabilities.logSumExp(logits, vocabulary);
    double otherNormal = LogProbabilities.logSumExp(other, vocabulary);
    double divergence = 0;
    float top = Float.NEGATIVE_INFINITY;
    float otherTop = Float.NEGATIVE_INFINITY;
    int topToken = -1;
    int otherTopToken = -1;
    for (int i = 0; i < vocabulary; i++) {
      float q = logits.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      float p = other.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      if (q > top) {
        top = q;
        topToken = i;
      }
      if (p > otherTop) {
        otherTop = p;
        otherTopToken = i;
      }
      double logP = p - otherNormal;
      double probability = Math.exp(logP);
      if (probability > 0) {
        divergence += probability * (logP - (q - normal));
      }
    }
    divergenceSum += divergence;
    divergenceMaximum = Math.max(divergenceMaximum, divergence);
    agreements += topToken == otherTopToken ? 1 : 0;
    referenceSum += otherNormal - other.getAtIndex(ValueLayout.JAVA_FLOAT, token);
    add(normal - logits.getAtIndex(ValueLayout.JAVA_FLOAT, token), position);
  }

  /** Tells whether a token was added. */
  boolean isEmpty() {
    return count == 0;
  }

  /**
   * Returns what the sums say.
   *
   * @param windows number of windows
   */
  PerplexityResult result(int windows) {
    double mean = sum / count;
    double perplexity = Math.exp(mean);
    double variance = Math.max(0, squares / count - mean * mean);
    List<PerplexityResult.Bin> bins = new ArrayList<>(binSums.length);
    for (int i = 0; i < binSums.length; i++) {
      if (binCounts[i] > 0) {
        bins.add(
            new PerplexityResult.Bin(
                edge(i), edge(i + 1), binCounts[i], Math.exp(binSums[i] / binCounts[i])));
      }
    }
    return new PerplexityResult(
        perplexity,
        count > 1 ? perplexity * Math.sqrt(variance / (count - 1)) : 0,
        count,
        windows,
        bins,
        compares
            ? Optional.of(
                new PerplexityResult.Divergence(
                    divergenceSum / count,
                    divergenceMaximum,
                    (double) agreements / count,
                    Math.exp(referenceSum / count)))
            : Optional.empty());
  }

  /** Returns the first position of a bin. */
  private int edge(int bin) {
    return Math.ceilDiv(bin * length, binSums.length);
  }
}
