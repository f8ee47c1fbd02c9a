package dev.gatun.eval;

import java.util.List;
import java.util.Optional;

/**
 * How well a model foresees a text. Immutable.
 *
 * @param perplexity {@code exp} of the mean negative log-likelihood of the scored tokens
 * @param standardError standard error of the perplexity, tokens taken as independent
 * @param tokens number of scored tokens
 * @param windows number of windows
 * @param bins the same for parts of the window, those without scored tokens left out
 * @param divergence difference to another configuration, when one was given
 */
public record PerplexityResult(
    double perplexity,
    double standardError,
    long tokens,
    int windows,
    List<Bin> bins,
    Optional<Divergence> divergence) {
  /** Copies the list. */
  public PerplexityResult {
    bins = List.copyOf(bins);
  }

  /**
   * The tokens in one part of the window.
   *
   * @param from first position of the part
   * @param to position after its last
   * @param tokens number of scored tokens in it
   * @param perplexity perplexity of those
   */
  public record Bin(int from, int to, long tokens, double perplexity) {}

  /**
   * How far the next-token distributions are from those of a reference.
   *
   * @param mean mean of the Kullback-Leibler divergence KL(reference ‖ measured), in nats
   * @param maximum the largest one
   * @param topAgreement share of tokens for which both find the same token the most likely
   * @param referencePerplexity perplexity of the reference over the same tokens
   */
  public record Divergence(
      double mean, double maximum, double topAgreement, double referencePerplexity) {}
}
