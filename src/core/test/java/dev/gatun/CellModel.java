package dev.gatun;

import dev.gatun.kv.OverflowPolicy;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * What a session must hold, as a plain list of tokens and positions: every operation is written
 * here a second time, as simply as can be.
 */
final class CellModel {
  private record Cell(int token, int position) {}

  private final OverflowPolicy policy;
  private final int limit;
  private List<Cell> cells = new ArrayList<>();
  private long dropped;
  private long inserted;
  private boolean insertedKnown = true;

  CellModel(SessionOptions options, int sequenceTokens) {
    this.policy = options.overflow();
    this.limit = Math.min(sequenceTokens, options.budgetTokens().orElse(Integer.MAX_VALUE));
  }

  int size() {
    return cells.size();
  }

  int limit() {
    return limit;
  }

  long dropped() {
    return dropped;
  }

  /** Number of the next token in the text; -1 when a failed call hides how much was inserted. */
  long nextNumber() {
    return insertedKnown ? dropped - inserted + cells.size() : -1;
  }

  boolean makesRoom() {
    return !(policy instanceof OverflowPolicy.Fail);
  }

  int[] tokens() {
    return cells.stream().mapToInt(Cell::token).toArray();
  }

  int[] positions() {
    return cells.stream().mapToInt(Cell::position).toArray();
  }

  boolean isWhole() {
    return cells.isEmpty()
        || (cells.getFirst().position() == 0 && cells.getLast().position() == cells.size() - 1);
  }

  void clear() {
    cells.clear();
    dropped = 0;
    inserted = 0;
    insertedKnown = true;
  }

  /** Takes over what was seen. */
  void accept(int[] tokens, int[] positions, long droppedTokens) {
    cells.clear();
    for (int i = 0; i < tokens.length; i++) {
      cells.add(new Cell(tokens[i], positions[i]));
    }
    insertedKnown &= dropped == droppedTokens || !(policy instanceof OverflowPolicy.Summarise);
    dropped = droppedTokens;
  }

  /** The last token may be read again, and then stands right behind the one before it. */
  void settleLast(int[] positions) {
    int last = cells.size() - 1;
    if (last < 0 || positions.length != cells.size()) {
      return;
    }
    int before = last == 0 ? -1 : cells.get(last - 1).position();
    if (positions[last] == before + 1) {
      cells.set(last, new Cell(cells.get(last).token(), before + 1));
    }
  }

  void append(int... tokens) {
    for (int token : tokens) {
      if (cells.size() == limit) {
        makeRoom();
      }
      add(token);
    }
  }

  private void add(int token) {
    cells.add(new Cell(token, cells.isEmpty() ? 0 : cells.getLast().position() + 1));
  }

  private void makeRoom() {
    switch (policy) {
      case OverflowPolicy.Fail _ -> throw new AssertionError("more tokens than fit");
      case OverflowPolicy.Shift(int keep) -> {
        int count = Math.max(1, (cells.size() - keep) / 2);
        discard(keep, keep + count);
        dropped += count;
      }
      case OverflowPolicy.Streaming(int sinks, int atOnce, int rebase) -> {
        int count = Math.min(atOnce == 0 ? Math.max(1, limit / 8) : atOnce, limit - sinks - 1);
        cells.subList(sinks, sinks + count).clear();
        dropped += count;
        int up = cells.get(sinks).position() - cells.get(sinks - 1).position() - 1;
        for (int i = 0; i < sinks; i++) {
          move(i, up);
        }
        int first = cells.getFirst().position();
        for (int i = 0; i < cells.size() && first >= rebase; i++) {
          move(i, -first);
        }
      }
      case OverflowPolicy.Evict _ -> throw new AssertionError("see EvictionTest");
      case OverflowPolicy.Summarise(int keep, int recent, OverflowPolicy.Summariser summariser) -> {
        int end = cells.size() - recent;
        int[] middle = cells.subList(keep, end).stream().mapToInt(Cell::token).toArray();
        List<Cell> tail = List.copyOf(cells.subList(end, cells.size()));
        cells.subList(keep, cells.size()).clear();
        for (int token : summariser.summarise(middle)) {
          add(token);
          inserted++;
        }
        tail.forEach(cell -> add(cell.token()));
        dropped += middle.length;
      }
    }
  }

  private void move(int index, int distance) {
    Cell cell = cells.get(index);
    cells.set(index, new Cell(cell.token(), cell.position() + distance));
  }

  void cutTo(int count) {
    cells.subList(count, cells.size()).clear();
  }

  void discard(int from, int to) {
    if (from == to) {
      return;
    }
    if (to < cells.size()) {
      int distance = cells.get(to).position() - cells.get(from).position();
      for (int i = to; i < cells.size(); i++) {
        move(i, -distance);
      }
    }
    cells.subList(from, to).clear();
  }

  /** Tokens that were not read yet follow what was. */
  void retain(BitSet keep, int decoded) {
    List<Cell> kept = new ArrayList<>();
    for (int i = 0; i < cells.size(); i++) {
      if (keep.get(i)) {
        kept.add(cells.get(i));
      }
    }
    List<Cell> all = kept;
    cells = new ArrayList<>(all.subList(0, decoded));
    all.subList(decoded, all.size()).forEach(cell -> add(cell.token()));
  }

  void splice(int at, int removed, int... inserted) {
    List<Cell> tail = List.copyOf(cells.subList(at + removed, cells.size()));
    cells.subList(at, cells.size()).clear();
    for (int token : inserted) {
      add(token);
    }
    if (!tail.isEmpty()) {
      int next = cells.isEmpty() ? 0 : cells.getLast().position() + 1;
      int distance = next - tail.getFirst().position();
      tail.forEach(cell -> cells.add(new Cell(cell.token(), cell.position() + distance)));
    }
  }
}
