package dev.gatun;

/**
 * A candidate for the next token.
 *
 * @param token token id
 * @param logProbability natural logarithm of its probability before sampling, at most 0
 */
public record TokenProbability(int token, double logProbability) {}
