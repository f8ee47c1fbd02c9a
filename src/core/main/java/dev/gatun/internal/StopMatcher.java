package dev.gatun.internal;

import java.util.ArrayDeque;
import java.util.List;

/**
 * Finds stop strings in a text that arrives in pieces, and holds back the end of the text while it
 * could still become one.
 *
 * <p>The stop string that is complete first ends the text; of several that are complete at the same
 * character the longest counts. The text before it is given out, the stop string and what follows
 * are not.
 *
 * <p>Time is linear in the text, whatever the stop strings are. Source: Aho and Corasick,
 * "Efficient string matching: an aid to bibliographic search", 1975.
 *
 * <p>Not thread-safe.
 */
public final class StopMatcher {
  private static final int NONE = -1;

  /** Nodes of the tree of stop strings; node 0 is the root. */
  private final char[] label;

  private final int[] firstChild;
  private final int[] nextSibling;
  private final int[] failure;
  private final int[] depth;

  /** Length of the longest stop string that ends at a node; 0 when none does. */
  private final int[] match;

  private final StringBuilder held = new StringBuilder();
  private int nodes = 1;
  private int state;
  private boolean matched;

  /**
   * Creates a matcher.
   *
   * @param stops the stop strings; none of them empty
   */
  public StopMatcher(List<String> stops) {
    int capacity = 1;
    for (String stop : stops) {
      if (stop.isEmpty()) {
        throw new IllegalArgumentException("a stop string must not be empty");
      }
      capacity = Math.addExact(capacity, stop.length());
    }
    label = new char[capacity];
    firstChild = new int[capacity];
    nextSibling = new int[capacity];
    failure = new int[capacity];
    depth = new int[capacity];
    match = new int[capacity];
    firstChild[0] = NONE;
    nextSibling[0] = NONE;
    for (String stop : stops) {
      insert(stop);
    }
    linkFailures();
  }

  private void insert(String stop) {
    int node = 0;
    for (int i = 0; i < stop.length(); i++) {
      int next = child(node, stop.charAt(i));
      if (next == NONE) {
        next = nodes++;
        label[next] = stop.charAt(i);
        firstChild[next] = NONE;
        nextSibling[next] = firstChild[node];
        firstChild[node] = next;
        depth[next] = depth[node] + 1;
      }
      node = next;
    }
    match[node] = stop.length();
  }

  private void linkFailures() {
    ArrayDeque<Integer> queue = new ArrayDeque<>();
    for (int node = firstChild[0]; node != NONE; node = nextSibling[node]) {
      queue.add(node);
    }
    while (!queue.isEmpty()) {
      int node = queue.remove();
      for (int next = firstChild[node]; next != NONE; next = nextSibling[next]) {
        failure[next] = step(failure[node], label[next]);
        if (match[next] == 0) {
          match[next] = match[failure[next]];
        }
        queue.add(next);
      }
    }
  }

  private int child(int node, char c) {
    int next = firstChild[node];
    while (next != NONE && label[next] != c) {
      next = nextSibling[next];
    }
    return next;
  }

  private int step(int from, char c) {
    int node = from;
    while (true) {
      int next = child(node, c);
      if (next != NONE) {
        return next;
      }
      if (node == 0) {
        return 0;
      }
      node = failure[node];
    }
  }

  /** Tells whether a stop string was found; then nothing more comes out. */
  public boolean isMatched() {
    return matched;
  }

  /** Tells whether text is held back. */
  public boolean isHolding() {
    return !held.isEmpty();
  }

  /** Takes a piece of text and returns what is certain not to belong to a stop string. */
  public String append(String text) {
    if (matched) {
      return "";
    }
    if (nodes == 1) {
      return text;
    }
    for (int i = 0; i < text.length(); i++) {
      state = step(state, text.charAt(i));
      if (match[state] > 0) {
        matched = true;
        held.append(text, 0, i + 1);
        String before = held.substring(0, held.length() - match[state]);
        held.setLength(0);
        return before;
      }
    }
    if (held.isEmpty() && state == 0) {
      return text;
    }
    held.append(text);
    int certain = held.length() - depth[state];
    String out = held.substring(0, certain);
    held.delete(0, certain);
    return out;
  }

  /** Returns what is held back: the text has ended without a stop string. */
  public String finish() {
    String rest = held.toString();
    held.setLength(0);
    state = 0;
    return rest;
  }
}
