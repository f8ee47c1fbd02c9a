package dev.gatun.kv;

import java.util.OptionalDouble;

/**
 * How queries are rotated.
 *
 * @param inverseFrequencies angle for each pair of elements and each position
 * @param adjacent whether a pair is two neighbours; else element {@code i} and {@code i + n}, with
 *     {@code n} the number of pairs
 * @param scale what scores are multiplied with, beside {@code 1/sqrt(headSize)}
 * @param farPosition where a query stands for a far key, if the scaling has two bands; else empty,
 *     and it stands at its own position
 */
public record QueryTurn(
    double[] inverseFrequencies, boolean adjacent, double scale, OptionalDouble farPosition) {}
