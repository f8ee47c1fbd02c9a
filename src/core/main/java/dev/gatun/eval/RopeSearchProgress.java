package dev.gatun.eval;

import java.time.Duration;
import java.util.OptionalDouble;

/**
 * How far a search is.
 *
 * @param evaluations tables that have been tried
 * @param allEvaluations tables that will be tried
 * @param generation number of the generation, from 0
 * @param bestPerplexity lowest perplexity so far, on the part of the text that is searched on
 * @param fraction share of all tokens that has been read, the report's included
 * @param left time until the end, as it looks now
 */
public record RopeSearchProgress(
    int evaluations,
    int allEvaluations,
    int generation,
    OptionalDouble bestPerplexity,
    double fraction,
    Duration left) {}
