package dev.gatun.eval;

import dev.gatun.RetrievalAnswer;

/**
 * One question to a retrieval memory.
 *
 * @param question what was asked
 * @param expected what a right answer holds
 * @param answer what was answered
 * @param right whether the answer holds it
 * @param recalled whether the page with the fact was brought back for this answer
 * @param at number of the fact's first token in the text
 * @param found what bringing the pages back and answering took
 */
public record MemoryAnswer(
    String question,
    String expected,
    String answer,
    boolean right,
    boolean recalled,
    int at,
    RetrievalAnswer found) {}
