package dev.gatun.kv;

import java.util.List;
import java.util.Optional;

/**
 * What a context's memory takes, known before the context is made. Immutable.
 *
 * <p>Source: the constructors of {@code llama_kv_cache}, {@code llama_kv_cache_iswa} and {@code
 * llama_memory_recurrent}. On the CPU {@link #totalBytes()} equals to the byte what the native side
 * reports as {@code contextBytes}; a GPU may round each tensor up.
 *
 * @param settings what was asked for
 * @param contextTokens tokens that all sequences together can hold, as llama.cpp rounds them
 * @param sequenceTokens tokens that one sequence can hold
 * @param groups the layers by what they keep; a kind that the model lacks is left out
 */
public record KvPlan(
    KvSettings settings, long contextTokens, long sequenceTokens, List<Group> groups) {

  /** What layers keep of a text. */
  public enum Kind {
    /** A cell for every token. */
    FULL_ATTENTION,
    /** A cell for each of the last tokens. */
    SLIDING_WINDOW,
    /** One state for a sequence, however long it is. */
    RECURRENT
  }

  /**
   * Layers that keep the same.
   *
   * @param kind what they keep
   * @param layers number of layers
   * @param cells cells of a layer, for all sequences together; states of a recurrent one
   * @param sequenceCells most cells that one sequence comes to use
   * @param bytesPerCell bytes of a cell in all layers of the group together
   * @param bytes bytes of the group
   */
  public record Group(
      Kind kind, int layers, long cells, long sequenceCells, long bytesPerCell, long bytes) {

    /**
     * Returns the cells that a sequence of so many tokens uses.
     *
     * @param tokens at least 0
     */
    public long sessionCells(int tokens) {
      requireTokens(tokens);
      return Math.min(tokens, sequenceCells);
    }
  }

  /** Copies the list. */
  public KvPlan {
    groups = List.copyOf(groups);
  }

  /** Returns the bytes of all cells and states. */
  public long totalBytes() {
    long bytes = 0;
    for (Group group : groups) {
      bytes = plus(bytes, group.bytes());
    }
    return bytes;
  }

  /** Returns the bytes of the recurrent states of all sequences; 0 without such layers. */
  public long recurrentBytes() {
    return group(Kind.RECURRENT).map(Group::bytes).orElse(0L);
  }

  /** Returns the bytes that a token takes in all attention layers, while its cells are kept. */
  public long bytesPerToken() {
    return groups.stream()
        .filter(group -> group.kind() != Kind.RECURRENT)
        .mapToLong(Group::bytesPerCell)
        .reduce(0, KvPlan::plus);
  }

  /** Returns the group of a kind, if the model has such layers. */
  public Optional<Group> group(Kind kind) {
    return groups.stream().filter(group -> group.kind() == kind).findFirst();
  }

  /**
   * Returns the cells of the common pool that a sequence of so many tokens uses: the number by
   * which requests are admitted. A sliding window needs no count of its own, since its pool has
   * room for every sequence's window; 0 for a model that keeps states only.
   *
   * @param tokens at least 0
   */
  public long sessionCells(int tokens) {
    requireTokens(tokens);
    return group(Kind.FULL_ATTENTION)
        .or(() -> group(Kind.SLIDING_WINDOW))
        .map(group -> group.sessionCells(tokens))
        .orElse(0L);
  }

  /**
   * Returns the bytes that a sequence of so many tokens uses, of those that the context has taken
   * already. No more than the context holds for one sequence is counted.
   *
   * @param tokens at least 0
   */
  public long sessionBytes(int tokens) {
    requireTokens(tokens);
    return groups.stream()
        .mapToLong(group -> times(group.sessionCells(tokens), group.bytesPerCell()))
        .reduce(0, KvPlan::plus);
  }

  private static void requireTokens(int tokens) {
    if (tokens < 0) {
      throw new IllegalArgumentException("tokens must not be negative, but are " + tokens);
    }
  }

  /** Multiplies what is not negative; a damaged file's sizes stay at the largest number. */
  static long times(long a, long b) {
    return Math.multiplyHigh(a, b) != 0 || a * b < 0 ? Long.MAX_VALUE : a * b;
  }

  /** Adds what is not negative; as {@link #times}. */
  static long plus(long a, long b) {
    return a + b < 0 ? Long.MAX_VALUE : a + b;
  }
}
