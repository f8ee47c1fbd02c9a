package dev.gatun;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * The tokens of a text and how they are cut into pages: each ends with the last sentence that fits,
 * so that a sentence is cut in two only when it is longer than a page.
 */
final class PagedText {
  /**
   * A part of the text.
   *
   * @param from first token
   * @param to end of its tokens
   */
  record Page(int from, int to) {
    int size() {
      return to - from;
    }
  }

  private static final int CHUNK = 1 << 12;
  private static final String ENDS = ".!?\n";
  private static final String CLOSING = " \"')]\u201d\u2019";

  private final Tokenizer tokenizer;
  private final int pageTokens;
  private final BitSet known = new BitSet();
  private final BitSet endsSentence = new BitSet();
  private final List<int[]> chunks = new ArrayList<>();
  private int size;

  PagedText(Tokenizer tokenizer, int pageTokens) {
    this.tokenizer = tokenizer;
    this.pageTokens = pageTokens;
  }

  int size() {
    return size;
  }

  void append(int[] ids) {
    if (ids.length > Integer.MAX_VALUE - 8 - size) {
      throw new IllegalArgumentException(
          "a memory holds at most %,d tokens; begin another one".formatted(Integer.MAX_VALUE - 8));
    }
    for (int done = 0; done < ids.length; ) {
      int at = size % CHUNK;
      if (at == 0) {
        chunks.add(new int[CHUNK]);
      }
      int count = Math.min(ids.length - done, CHUNK - at);
      System.arraycopy(ids, done, chunks.getLast(), at, count);
      done += count;
      size += count;
    }
  }

  private int token(int index) {
    return chunks.get(index / CHUNK)[index % CHUNK];
  }

  int[] tokens(int from, int to) {
    int[] tokens = new int[to - from];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = token(from + i);
    }
    return tokens;
  }

  /**
   * Cuts the text from a token on.
   *
   * @param from first token
   * @param end at most to here
   * @param whole whether the text ends there; else a page that the end cuts off is left out
   */
  List<Page> cut(int from, int end, boolean whole) {
    List<Page> pages = new ArrayList<>();
    int at = from;
    while (at < end) {
      int to = Math.min(end, at + pageTokens);
      if (to - at == pageTokens) {
        to = lastSentenceEnd(at + pageTokens / 8, to);
      } else if (!whole && !pages.isEmpty()) {
        break;
      }
      pages.add(new Page(at, to));
      at = to;
    }
    return pages;
  }

  /** Returns the last end of a sentence in a range, or the end of the range. */
  private int lastSentenceEnd(int from, int to) {
    for (int end = to; end > from; end--) {
      if (endsSentence(token(end - 1))) {
        return end;
      }
    }
    return to;
  }

  private boolean endsSentence(int token) {
    if (!known.get(token)) {
      known.set(token);
      String text = tokenizer.text(token);
      int last = text.length() - 1;
      while (last > 0 && CLOSING.indexOf(text.charAt(last)) >= 0) {
        last--;
      }
      endsSentence.set(token, last >= 0 && ENDS.indexOf(text.charAt(last)) >= 0);
    }
    return endsSentence.get(token);
  }
}
