package dev.gatun.internal;

import java.util.Set;

/**
 * How deep the native word splitter of a byte-level BPE vocabulary may go. Most vocabularies are
 * split by {@code std::regex}, which calls itself once for each character of a match: 20,000
 * exclamation marks in a row use up an ordinary thread's stack.
 */
final class WordSplitter {
  /** More than was measured for one character of a match: 410 bytes. */
  static final long STACK_BYTES_PER_CHARACTER = 1024;

  /** Runs up to this length are safe on any thread. */
  static final int SHORT = 400;

  /** The longest run that is tokenized: one that long takes 1 GiB of stack. */
  static final int LONGEST = 1_000_000;

  /** The values of {@code tokenizer.ggml.pre} whose splitters are loops, as in llama.cpp v0.5.0. */
  private static final Set<String> LOOPS =
      Set.of(
          "gpt-2",
          "phi-2",
          "mpt",
          "olmo",
          "llama3",
          "llama-v3",
          "llama-bpe",
          "falcon3",
          "pixtral",
          "lfm2",
          "dbrx",
          "smaug-bpe",
          "glm4",
          "chatglm-bpe",
          "qwen2",
          "qwen35",
          "deepseek-r1-qwen",
          "stablelm2",
          "hunyuan",
          "gemma4",
          "starcoder",
          "refact",
          "command-r",
          "smollm");

  private WordSplitter() {}

  /**
   * Tells whether the splitter recurses.
   *
   * @param pre the file's {@code tokenizer.ggml.pre}
   */
  static boolean recurses(String pre) {
    return !LOOPS.contains(pre);
  }

  /**
   * Returns a bound of the longest match: the longest run of letters, digits and spaces, of
   * anything but white space, or of anything but letters and digits. Every pattern of the pinned
   * version stays inside one of these.
   */
  static int longestRun(String text) {
    int longest = 0;
    int words = 0;
    int solid = 0;
    int signs = 0;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      boolean letter = Character.isLetterOrDigit(c) || isPartOfWord(c);
      boolean space = Character.isWhitespace(c) || Character.isSpaceChar(c);
      words = letter || c == ' ' ? words + 1 : 0;
      solid = space ? 0 : solid + 1;
      signs = letter && !Character.isSurrogate(c) ? 0 : signs + 1;
      longest = Math.max(longest, Math.max(words, Math.max(solid, signs)));
    }
    return longest;
  }

  /** Marks belong to words; half of a surrogate pair may. */
  private static boolean isPartOfWord(char c) {
    return switch (Character.getType(c)) {
      case Character.NON_SPACING_MARK,
          Character.COMBINING_SPACING_MARK,
          Character.ENCLOSING_MARK,
          Character.OTHER_NUMBER,
          Character.LETTER_NUMBER,
          Character.SURROGATE ->
          true;
      default -> false;
    };
  }
}
