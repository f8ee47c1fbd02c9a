package dev.gatun.internal;

import dev.gatun.error.ChatTemplateException;

/**
 * Refuses templates that are so long or nested so deep that the native parser, which calls itself
 * for each level, would use up even a deep stack and end the process. Counts brackets without
 * reading strings, so it errs on the safe side.
 */
final class JinjaNesting {
  /** Real templates have less than 40 KiB. */
  static final int MAX_LENGTH = 1 << 18;

  /** Real templates stay below 10. */
  static final int MAX_DEPTH = 200;

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
    if (source.length() > MAX_LENGTH) {
      throw new ChatTemplateException(
          "%s has %,d characters, more than the %,d that are read; make it shorter"
              .formatted(name, source.length(), MAX_LENGTH));
    }
    int depth = 0;
    for (int i = 0; i < source.length(); i++) {
      switch (source.charAt(i)) {
        case '(', '[', '{' -> depth++;
        case ')', ']', '}' -> depth = Math.max(0, depth - 1);
        default -> {}
      }
      if (depth > MAX_DEPTH) {
        throw new ChatTemplateException(
            name + " is nested deeper than " + MAX_DEPTH + " levels; make it simpler");
      }
    }
  }
}
