package dev.gatun.internal;

import dev.gatun.error.ChatTemplateException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Refuses templates that are nested so deep that the native parser, which calls itself for each level, would use up the
 * thread's stack and end the process. Counts brackets and blocks without reading strings, so it errs on the safe side.
 */
final class JinjaNesting {
  /** Real templates stay below 30. */
  static final int MAX_DEPTH = 200;

  private static final Pattern STEP =
      Pattern.compile(
          "[(\\[{]|[)\\]}]|\\{%[-+]?\\s*(end)?(if|for|macro|call|filter|set|generation)\\b|\\bnot\\b|-(?=-)");

  private JinjaNesting() {}

  /**
   * Checks a template.
   *
   * @param name for the message
   */
  static void check(String source, String name) {
    if (source.indexOf('\0') >= 0) {
      throw new ChatTemplateException(name + " holds a NUL character; remove it");
    }
    int brackets = 0;
    int blocks = 0;
    int run = 0;
    Matcher step = STEP.matcher(source);
    while (step.find()) {
      String found = step.group();
      char first = found.charAt(0);
      if (found.length() > 1 && first == '{') {
        blocks = Math.max(0, step.group(1) == null ? blocks + 1 : blocks - 1);
        brackets = 1;
      } else if (first == '(' || first == '[' || first == '{') {
        brackets++;
      } else if (first == ')' || first == ']' || first == '}') {
        brackets = Math.max(0, brackets - 1);
      } else {
        run++;
        continue;
      }
      if (brackets > MAX_DEPTH || blocks > 4 * MAX_DEPTH) {
        throw new ChatTemplateException(
            name + " is nested deeper than " + MAX_DEPTH + " levels; make it simpler");
      }
    }
    if (run > 100 * MAX_DEPTH) {
      throw new ChatTemplateException(name + " holds too many signs in a row; make it simpler");
    }
  }
}
