package dev.gatun;

import java.util.Arrays;
import java.util.BitSet;

/**
 * The tokens of a session and the positions they stand at: ascending, with a gap where tokens were
 * evicted. The next token stands behind the last one.
 *
 * <p>Only what is before {@link #size()} is held; tokens staged behind it are on trial until the
 * decode that reads them has gone well.
 */
final class HeldTokens {
  private static final int INITIAL = 256;

  /** What several sessions may hold together: never written, however many have it. */
  private int[] sharedIds = {};

  private int[] sharedPositions = {};

  /** How many of the shared tokens are held; the own ones stand behind them. */
  private int shared;

  private int[] ids = new int[INITIAL];
  private int[] positions = new int[INITIAL];
  private int size;

  int size() {
    return size;
  }

  int id(int index) {
    return index < shared ? sharedIds[index] : ids[index - shared];
  }

  /** Position of a token, or of the next one. */
  int position(int index) {
    return index < size ? stagedPosition(index) : next();
  }

  /** Position of the next token. */
  int next() {
    return size == 0 ? 0 : stagedPosition(size - 1) + 1;
  }

  /** Position of a held or staged token. */
  int stagedPosition(int index) {
    return index < shared ? sharedPositions[index] : positions[index - shared];
  }

  int[] ids() {
    return ids(0, size);
  }

  int[] ids(int from, int to) {
    return range(sharedIds, ids, from, to);
  }

  int[] positions() {
    return range(sharedPositions, positions, 0, size);
  }

  private int[] range(int[] first, int[] then, int from, int to) {
    int[] all = new int[to - from];
    int split = Math.clamp(shared, from, to);
    System.arraycopy(first, Math.min(from, shared), all, 0, split - from);
    System.arraycopy(then, Math.max(0, split - shared), all, split - from, to - split);
    return all;
  }

  /** Tells whether positions are 0, 1, 2 and so on. */
  boolean isWhole() {
    return size == 0 || (position(0) == 0 && position(size - 1) == size - 1);
  }

  /** Puts tokens behind the held ones, on trial. */
  void stage(int[] from, int offset, int count) {
    ensure(size + count);
    System.arraycopy(from, offset, ids, size - shared, count);
    int position = next();
    for (int i = 0; i < count; i++) {
      positions[size - shared + i] = position + i;
    }
  }

  /** Holds staged tokens. */
  void accept(int count) {
    size += count;
  }

  void add(int id) {
    ensure(size + 1);
    positions[size - shared] = next();
    ids[size - shared] = id;
    size++;
  }

  void set(int[] newIds, int[] newPositions) {
    cutTo(0);
    append(newIds, newPositions);
  }

  /** Adds tokens at positions behind those that are held. */
  void append(int[] newIds, int[] newPositions) {
    ensure(size + newIds.length);
    System.arraycopy(newIds, 0, ids, size - shared, newIds.length);
    System.arraycopy(newPositions, 0, positions, size - shared, newIds.length);
    size += newIds.length;
  }

  /** Holds the first tokens that another one holds, without a copy for each that does so. */
  void shareFrom(HeldTokens other, int count) {
    if (count > other.shared) {
      other.freeze();
    }
    sharedIds = other.sharedIds;
    sharedPositions = other.sharedPositions;
    shared = count;
    size = count;
  }

  /** Tells whether the first tokens are these. */
  boolean startsWith(int[] text) {
    if (size < text.length) {
      return false;
    }
    int head = Math.min(shared, text.length);
    return Arrays.equals(sharedIds, 0, head, text, 0, head)
        && Arrays.equals(ids, 0, text.length - head, text, head, text.length);
  }

  void cutTo(int count) {
    if (count < shared) {
      shared = count;
    }
    size = count;
  }

  /** Gives the tokens from an index on the positions that follow the one before, without a gap. */
  void closeGapsFrom(int index) {
    for (int i = index; i < size; i++) {
      int follows = i == 0 ? 0 : stagedPosition(i - 1) + 1;
      if (stagedPosition(i) != follows) {
        own();
        positions[i] = follows;
      }
    }
  }

  /** Moves the positions of a range. */
  void move(int from, int to, int distance) {
    own();
    for (int i = from; i < to; i++) {
      positions[i] += distance;
    }
  }

  /** Takes out a range; what follows keeps its positions. */
  void remove(int from, int to) {
    own();
    System.arraycopy(ids, to, ids, from, size - to);
    System.arraycopy(positions, to, positions, from, size - to);
    size -= to - from;
  }

  /** Keeps only the tokens whose bit is set; they keep their positions. */
  void retain(BitSet keep) {
    own();
    int kept = 0;
    for (int i = keep.nextSetBit(0); i >= 0 && i < size; i = keep.nextSetBit(i + 1)) {
      ids[kept] = ids[i];
      positions[kept++] = positions[i];
    }
    size = kept;
  }

  /** Makes everything that is held shared. */
  private void freeze() {
    if (size > shared) {
      sharedPositions = positions();
      sharedIds = ids();
      shared = size;
      ids = new int[INITIAL];
      positions = new int[INITIAL];
    }
  }

  /** Makes everything that is held this one's own, to be changed. What is staged stays so. */
  private void own() {
    if (shared > 0) {
      ids = own(sharedIds, ids);
      positions = own(sharedPositions, positions);
      shared = 0;
    }
  }

  private int[] own(int[] first, int[] then) {
    int[] all = Arrays.copyOf(first, shared + then.length);
    System.arraycopy(then, 0, all, shared, then.length);
    return all;
  }

  private void ensure(int count) {
    if (count - shared > ids.length) {
      int length = Math.max(count - shared, ids.length * 2);
      ids = Arrays.copyOf(ids, length);
      positions = Arrays.copyOf(positions, length);
    }
  }
}
