package dev.gatun.eval;

import java.util.Locale;

/**
 * Something that is hidden in a text and asked for.
 *
 * @param sentence what stands in the text
 * @param question what is asked
 * @param answer what a right answer holds, whatever its case
 */
record Fact(String sentence, String question, String answer) {
  boolean isIn(String text) {
    return text.toLowerCase(Locale.ROOT).contains(answer.toLowerCase(Locale.ROOT));
  }
}
