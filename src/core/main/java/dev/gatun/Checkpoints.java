package dev.gatun;

import dev.gatun.kv.CheckpointOptions;
import dev.gatun.kv.StateCheckpoint;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/** The checkpoints of one sequence, within their bounds. Inside the context's guard. */
final class Checkpoints {
  /** A text of fewer tokens is read again sooner than a checkpoint is copied. */
  private static final int WORTH_TOKENS = 32;

  /** Tokens between the last checkpoint in a text and its end: the words that open an answer. */
  private static final int TAIL_TOKENS = 4;

  private final CheckpointOptions options;
  private final boolean useful;
  private final List<StateCheckpoint> list = new ArrayList<>();

  Checkpoints(CheckpointOptions options, boolean useful) {
    this.options = options;
    this.useful = useful;
  }

  /** Returns those that are kept, by ascending number of tokens. */
  List<StateCheckpoint> list() {
    return List.copyOf(list);
  }

  /** Returns the last one after at most so many tokens. */
  Optional<StateCheckpoint> before(int tokens) {
    for (int i = list.size() - 1; i >= 0; i--) {
      if (list.get(i).tokens() <= tokens) {
        return Optional.of(list.get(i));
      }
    }
    return Optional.empty();
  }

  /** Forgets those after more than so many tokens. */
  void cutTo(int tokens) {
    list.removeIf(checkpoint -> checkpoint.tokens() > tokens);
  }

  void clear() {
    list.clear();
  }

  void set(List<StateCheckpoint> others) {
    list.clear();
    list.addAll(others);
  }

  /** Returns how many tokens may be read before the next checkpoint, at most as many as asked. */
  int step(int read, int end, int count) {
    if (!isAutomatic()) {
      return count;
    }
    int next = options.everyTokens() - read % options.everyTokens();
    int tail = end - TAIL_TOKENS - read;
    return Math.min(count, tail > WORTH_TOKENS ? Math.min(next, tail) : next);
  }

  /**
   * Returns the last multiple of a block from which a text can be read with the same rows in each
   * batch of a block or more as from its beginning: before the tail, which is a batch of its own.
   */
  int lastStart(int end, int block) {
    if (!isAutomatic()) {
      return end;
    }
    boolean aligned = options.everyTokens() % block == 0;
    return aligned ? Math.max(0, end - TAIL_TOKENS - Math.max(block, WORTH_TOKENS + 1)) : 0;
  }

  /**
   * Takes one where the options say so.
   *
   * @param start tokens that had been read when the text began
   * @param read tokens that are read now
   * @param end tokens that will be read when the text ends
   */
  void offer(int start, int read, int end, Supplier<StateCheckpoint> taker) {
    if (isAutomatic()
        && read > 0
        && (read % options.everyTokens() == 0
            || (end - start >= WORTH_TOKENS && (read == start || read == end - TAIL_TOKENS)))) {
      take(read, taker);
    }
  }

  /** Takes one, unless there is one at this point. */
  void take(int read, Supplier<StateCheckpoint> taker) {
    if (!useful
        || options.maxCount() == 0
        || before(read).filter(c -> c.tokens() == read).isPresent()) {
      return;
    }
    cutTo(read);
    StateCheckpoint taken = taker.get();
    if (taken.bytes() > options.maxBytes()) {
      return;
    }
    list.add(taken);
    while (list.size() > options.maxCount() || bytes() > options.maxBytes()) {
      list.remove(leastUseful());
    }
  }

  private boolean isAutomatic() {
    return useful && options.everyTokens() > 0 && options.maxCount() > 0;
  }

  private long bytes() {
    return list.stream().mapToLong(StateCheckpoint::bytes).sum();
  }

  /** The one whose loss adds least, for its distance from the end; never the last. */
  private int leastUseful() {
    int end = list.getLast().tokens();
    int least = 0;
    double smallest = Double.POSITIVE_INFINITY;
    for (int i = 0; i < list.size() - 1; i++) {
      int before = i == 0 ? 0 : list.get(i - 1).tokens();
      double loss = (list.get(i + 1).tokens() - before) / (double) (end - list.get(i).tokens() + 1);
      if (loss < smallest) {
        smallest = loss;
        least = i;
      }
    }
    return least;
  }
}
