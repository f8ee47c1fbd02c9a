package dev.gatun;

import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Deque;

/** Numbers of read tokens at which reading stops for a moment, so that somebody can look. */
final class Waypoints {
  private final Deque<Integer> ahead = new ArrayDeque<>();
  private Runnable reached = () -> {};

  /**
   * Puts others in place of those there are.
   *
   * @param points ascending
   * @param reached is run when exactly as many tokens are read
   */
  void set(Collection<Integer> points, Runnable reached) {
    ahead.clear();
    ahead.addAll(points);
    this.reached = reached;
  }

  void clear() {
    ahead.clear();
  }

  /** Returns how many tokens may be read before the next one, at most as many as asked. */
  int step(int read, int count) {
    while (!ahead.isEmpty() && ahead.peek() <= read) {
      ahead.poll(); // cut back or restored: reading never came by
    }
    return ahead.isEmpty() ? count : Math.min(count, ahead.peek() - read);
  }

  /** Tells how many tokens are read now. */
  void passed(int read) {
    if (!ahead.isEmpty() && ahead.peek() == read) {
      ahead.poll();
      reached.run();
    }
  }
}
