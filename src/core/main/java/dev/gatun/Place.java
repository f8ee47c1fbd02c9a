package dev.gatun;

import dev.gatun.kv.PrefixTree;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Where the cells of a node of the prefix cache are. */
sealed interface Place {
  /** Nowhere: only a branching point, or not filled yet. */
  record Nothing() implements Place {}

  /** In the context, held by the sequence of a node that follows. */
  record Covered() implements Place {}

  /**
   * In the context, held by a sequence of the cache together with everything before them.
   *
   * @param sequence its id
   */
  record Resident(int sequence) implements Place {}

  /**
   * Copied out.
   *
   * @param blocks ascending; the first and the last one may be shared with neighbours
   */
  record Cold(List<CellBlock> blocks) implements Place {}

  Place NOTHING = new Nothing();
  Place COVERED = new Covered();

  /** Tells whether it is in the context. */
  default boolean isResident() {
    return this instanceof Resident || this instanceof Covered;
  }

  /** Tells whether a part of it is in host memory. */
  default boolean isInMemory() {
    return this instanceof Cold(List<CellBlock> blocks)
        && blocks.stream().anyMatch(CellBlock::isInMemory);
  }

  /** Pieces: each node has the cells of its own tokens. */
  final class Pieces implements PrefixTree.Values<Place> {
    private final ColdCells cold;

    Pieces(ColdCells cold) {
      this.cold = cold;
    }

    @Override
    public PrefixTree.Halves<Place> divide(Place value, int start, int at, int end) {
      return switch (value) {
        case Nothing _ -> new PrefixTree.Halves<>(NOTHING, NOTHING);
        case Covered _, Resident _ -> new PrefixTree.Halves<>(COVERED, value);
        case Cold(List<CellBlock> blocks) -> {
          List<CellBlock> upper = new ArrayList<>();
          List<CellBlock> lower = new ArrayList<>();
          for (CellBlock block : blocks) {
            if (block.start() < at) {
              upper.add(block);
            }
            if (block.end() > at) {
              lower.add(block);
            }
            if (block.start() < at && block.end() > at) {
              block.use();
            }
          }
          yield new PrefixTree.Halves<>(new Cold(upper), new Cold(lower));
        }
      };
    }

    @Override
    public Optional<Place> join(Place upper, Place lower) {
      if (upper instanceof Covered && lower.isResident()) {
        return Optional.of(lower);
      }
      if (upper instanceof Cold(List<CellBlock> first)
          && lower instanceof Cold(List<CellBlock> second)
          && upper.isInMemory() == lower.isInMemory()) {
        List<CellBlock> all = new ArrayList<>(first);
        for (CellBlock block : second) {
          if (all.contains(block)) {
            cold.release(block); // one node uses it now, not two
          } else {
            all.add(block);
          }
        }
        return Optional.of(new Cold(all));
      }
      return Optional.empty();
    }
  }

  /** Whole states: a node has all that a text of its length needs, or nothing. */
  final class States implements PrefixTree.Values<Place> {
    @Override
    public PrefixTree.Halves<Place> divide(Place value, int start, int at, int end) {
      return new PrefixTree.Halves<>(NOTHING, value);
    }

    @Override
    public Optional<Place> join(Place upper, Place lower) {
      return upper instanceof Nothing ? Optional.of(lower) : Optional.empty();
    }
  }
}
