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

  private int[] ids = new int[INITIAL];
  private int[] positions = new int[INITIAL];
  private int size;

  int size() {
    return size;
  }

  int id(int index) {
    return ids[index];
  }

  /** Position of a token, or of the next one. */
  int position(int index) {
    return index < size ? positions[index] : next();
  }

  /** Position of the next token. */
  int next() {
    return size == 0 ? 0 : positions[size - 1] + 1;
  }

  /** Position of a staged token. */
  int stagedPosition(int index) {
    return positions[index];
  }

  int[] ids() {
    return Arrays.copyOf(ids, size);
  }

  int[] ids(int from, int to) {
    return Arrays.copyOfRange(ids, from, to);
  }

  int[] positions() {
    return Arrays.copyOf(positions, size);
  }

  /** Tells whether positions are 0, 1, 2 and so on. */
  boolean isWhole() {
    return size == 0 || (positions[0] == 0 && positions[size - 1] == size - 1);
  }

  /** Puts tokens behind the held ones, on trial. */
  void stage(int[] from, int offset, int count) {
    ensure(size + count);
    System.arraycopy(from, offset, ids, size, count);
    int position = next();
    for (int i = 0; i < count; i++) {
      positions[size + i] = position + i;
    }
  }

  /** Holds staged tokens. */
  void accept(int count) {
    size += count;
  }

  void add(int id) {
    ensure(size + 1);
    positions[size] = next();
    ids[size++] = id;
  }

  void set(int[] newIds, int[] newPositions) {
    size = 0;
    append(newIds, newPositions);
  }

  /** Adds tokens at positions behind those that are held. */
  void append(int[] newIds, int[] newPositions) {
    ensure(size + newIds.length);
    System.arraycopy(newIds, 0, ids, size, newIds.length);
    System.arraycopy(newPositions, 0, positions, size, newIds.length);
    size += newIds.length;
  }

  void cutTo(int count) {
    size = count;
  }

  /** Gives the tokens from an index on the positions that follow the one before, without a gap. */
  void closeGapsFrom(int index) {
    for (int i = index; i < size; i++) {
      positions[i] = i == 0 ? 0 : positions[i - 1] + 1;
    }
  }

  /** Moves the positions of a range. */
  void move(int from, int to, int distance) {
    for (int i = from; i < to; i++) {
      positions[i] += distance;
    }
  }

  /** Takes out a range; what follows keeps its positions. */
  void remove(int from, int to) {
    System.arraycopy(ids, to, ids, from, size - to);
    System.arraycopy(positions, to, positions, from, size - to);
    size -= to - from;
  }

  /** Keeps only the tokens whose bit is set; they keep their positions. */
  void retain(BitSet keep) {
    int kept = 0;
    for (int i = keep.nextSetBit(0); i >= 0 && i < size; i = keep.nextSetBit(i + 1)) {
      ids[kept] = ids[i];
      positions[kept++] = positions[i];
    }
    size = kept;
  }

  private void ensure(int count) {
    if (count > ids.length) {
      int length = Math.max(count, ids.length * 2);
      ids = Arrays.copyOf(ids, length);
      positions = Arrays.copyOf(positions, length);
    }
  }
}
