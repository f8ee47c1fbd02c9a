package dev.gatun;

import java.util.List;
import java.util.OptionalDouble;

/**
 * One generated token.
 *
 * @param token token id
 * @param text the text that became certain with this token; empty while a character or a possible
 *     stop string is not complete. The texts of all pieces, one after the other, are the generated
 *     text
 * @param logProbability natural logarithm of the token's probability under the model, before
 *     sampling; present when log-probabilities were asked for
 * @param alternatives the most probable tokens, most probable first; as many as were asked for
 */
public record Piece(
    int token, String text, OptionalDouble logProbability, List<TokenProbability> alternatives) {}
