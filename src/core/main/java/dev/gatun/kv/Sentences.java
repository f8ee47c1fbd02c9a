package dev.gatun.kv;

/** Finds sentences among tokens, by their text: a full stop, question or exclamation mark. */
final class Sentences {
  /** A text without such marks is cut after so many tokens. */
  private static final int LONGEST = 32;

  private static final String CLOSING = "\"'\u201d\u2019)]\u00bb";
  private static final String ENDS = ".!?\u3002\uff01\uff1f";

  private Sentences() {}

  /** Returns the number of each token's sentence, ascending from 0. */
  static int[] of(EvictionView view) {
    int n = view.size();
    int[] sentence = new int[n];
    int current = 0;
    int length = 0;
    boolean closing = false;
    for (int i = 0; i < n; i++) {
      String text = view.text(i);
      String core = text.strip();
      // A closing quote belongs to the sentence before it.
      if (closing && !isClosing(core)) {
        current++;
        length = 0;
        closing = false;
      }
      sentence[i] = current;
      length++;
      closing = closing || endsSentence(core);
      if (text.isEmpty() || text.indexOf('\n') >= 0 || length >= LONGEST) {
        current++;
        length = 0;
        closing = false;
      }
    }
    return sentence;
  }

  private static boolean isClosing(String core) {
    return !core.isEmpty() && core.chars().allMatch(c -> CLOSING.indexOf(c) >= 0);
  }

  private static boolean endsSentence(String core) {
    int end = core.length();
    while (end > 0 && CLOSING.indexOf(core.charAt(end - 1)) >= 0) {
      end--;
    }
    return end > 0 && ENDS.indexOf(core.charAt(end - 1)) >= 0;
  }
}
