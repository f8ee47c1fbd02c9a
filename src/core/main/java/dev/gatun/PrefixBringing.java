package dev.gatun;

import dev.gatun.error.KvCacheFullException;
import dev.gatun.internal.NativeCells;
import dev.gatun.internal.NativeContext;
import dev.gatun.internal.NativeMemory;
import dev.gatun.kv.PrefixTree.Node;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.IntPredicate;

/**
 * Brings the cells of a path of the prefix tree to one sequence, the first positions first. Every
 * method is called inside the context's guard; the nodes are pinned meanwhile.
 *
 * <p>A block comes whole, and what is not wanted of it is removed again: for a moment it takes up
 * to a block's cells more. Where they are not to be had, the path is brought up to the block.
 */
final class PrefixBringing {
  private enum Source {
    RESIDENT,
    HOST,
    DISK
  }

  private record Part(Source source, int from, int to) {}

  private final NativeContext context;
  private final ColdCells cold;
  private final IntPredicate room;
  private final int sequence;
  private final List<Part> parts = new ArrayList<>();
  private Optional<CellBlock> last = Optional.empty();
  private int have;
  private boolean stopped;
  private Optional<Node<Place>> damaged = Optional.empty();

  /**
   * Begins with an empty sequence.
   *
   * @param room makes room for so many cells; tells whether there is more now
   */
  PrefixBringing(NativeContext context, ColdCells cold, IntPredicate room, int sequence) {
    this.context = context;
    this.cold = cold;
    this.room = room;
    this.sequence = sequence;
  }

  /** Tokens that the sequence holds. */
  int have() {
    return have;
  }

  /** The node whose cells could not be read back as they were written. */
  Optional<Node<Place>> damaged() {
    return damaged;
  }

  PrefixReuse reuse() {
    int[] tokens = new int[Source.values().length];
    for (Part part : parts) {
      tokens[part.source().ordinal()] += Math.max(0, Math.min(part.to(), have) - part.from());
    }
    return new PrefixReuse(
        tokens[Source.RESIDENT.ordinal()],
        tokens[Source.HOST.ordinal()],
        tokens[Source.DISK.ordinal()]);
  }

  void piece(Node<Place> node, int to) {
    switch (node.value()) {
      case Place.Covered _, Place.Resident _ -> {
        NativeMemory.share(context, PrefixTiers.sequenceOf(node), sequence, node.start(), to);
        parts.add(new Part(Source.RESIDENT, node.start(), to));
        have = to;
      }
      case Place.Cold(List<CellBlock> blocks) -> {
        boolean inMemory = blocks.stream().allMatch(CellBlock::isInMemory);
        parts.add(new Part(inMemory ? Source.HOST : Source.DISK, node.start(), to));
        for (CellBlock block : blocks) {
          if (!stopped && last.equals(Optional.of(block))) {
            have = block.end(); // brought whole with the node before
          } else if (!stopped && block.start() < to) {
            block(node, block);
          }
        }
        have = stopped ? have : to;
      }
      case Place.Nothing _ -> stopped = true;
    }
  }

  /** A block may begin in the node before and end in another text: what it has too much goes. */
  private void block(Node<Place> node, CellBlock block) {
    NativeMemory.remove(context, sequence, Math.min(have, block.start()), NativeCells.END);
    if (read(node, block, bytes -> write(block, bytes))) {
      have = block.end();
      last = Optional.of(block);
    } else {
      stopped = true;
      cutTo(Math.min(have, block.start()));
    }
  }

  private void write(CellBlock block, MemorySegment bytes) {
    int[] positions = new int[block.end() - block.start()];
    Arrays.setAll(positions, i -> block.start() + i);
    NativeCells.write(context, sequence, positions, positions, bytes);
  }

  void state(Node<Place> node) {
    switch (node.value()) {
      case Place.Resident(int source) -> {
        NativeMemory.share(context, source, sequence);
        parts.add(new Part(Source.RESIDENT, 0, node.end()));
        have = node.end();
      }
      case Place.Cold(List<CellBlock> blocks) -> {
        CellBlock block = blocks.getFirst();
        boolean inMemory = block.isInMemory();
        if (read(node, block, this::restore)) {
          parts.add(new Part(inMemory ? Source.HOST : Source.DISK, 0, node.end()));
          have = node.end();
        } else {
          NativeMemory.removeAll(context, sequence);
        }
      }
      case Place.Covered _, Place.Nothing _ ->
          throw new IllegalStateException("the node " + node + " has no state");
    }
  }

  private void restore(MemorySegment bytes) {
    if (!NativeMemory.restore(context, sequence, NativeMemory.Part.WHOLE, bytes)) {
      throw new KvCacheFullException("no room for a state of the prefix cache");
    }
  }

  /** Puts a block's bytes into the context, making room; tells whether it went well. */
  private boolean read(Node<Place> node, CellBlock block, Consumer<MemorySegment> into) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = cold.bytes(block, arena);
      while (true) {
        try {
          into.accept(bytes);
          return true;
        } catch (KvCacheFullException e) {
          if (!room.test(block.end() - block.start())) {
            return false;
          }
        }
      }
    } catch (IOException e) {
      damaged = Optional.of(node);
      return false;
    }
  }

  /** Takes back what was brought too much. */
  void cutTo(int end) {
    NativeMemory.remove(context, sequence, end, NativeCells.END);
    have = end;
  }
}
