package dev.gatun;

import dev.gatun.internal.NativeCells;
import dev.gatun.internal.NativeContext;
import dev.gatun.internal.NativeMemory;
import dev.gatun.kv.PrefixTree.Node;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/**
 * The nodes of a prefix cache whose cells were copied out: to host memory, and from there to disk.
 * In pieces, no node is in a warmer tier than the one before it.
 */
final class ColdTiers {
  /** Most tokens in one copied block: what a division inside it makes two nodes hold on to. */
  private static final int BLOCK = 256;

  private final NativeContext context;
  private final PrefixNodes nodes;
  private final ColdCells cells;
  private final BooleanSupplier releaseUsed;
  private final boolean pieces;
  private final long mostHostBytes;
  private final long mostDiskBytes;
  private final boolean hasDisk;
  private long spillsToHost;
  private long spillsToDisk;
  private long loadBacks;
  private long failures;

  ColdTiers(
      NativeContext context,
      PrefixCacheOptions options,
      PrefixNodes nodes,
      ColdCells cells,
      BooleanSupplier releaseUsed,
      boolean pieces) {
    this.context = context;
    this.nodes = nodes;
    this.cells = cells;
    this.releaseUsed = releaseUsed;
    this.pieces = pieces;
    this.mostHostBytes = options.hostBytes();
    this.hasDisk = options.disk().isPresent();
    this.mostDiskBytes = options.disk().map(PrefixCacheOptions.Disk::bytes).orElse(0L);
  }

  long spillsToHost() {
    return spillsToHost;
  }

  long spillsToDisk() {
    return spillsToDisk;
  }

  long loadBacks() {
    return loadBacks;
  }

  long failures() {
    return failures;
  }

  /** Counts cells that could not be kept. */
  void countFailure() {
    failures++;
  }

  boolean isOverHostBudget() {
    return cells.hostBytes() > mostHostBytes;
  }

  boolean isOverDiskBudget() {
    return cells.diskBytes() > mostDiskBytes;
  }

  private boolean areThere() {
    return mostHostBytes > 0 || hasDisk;
  }

  // ---- from a sequence, and back ----------------------------------------------------------------

  /**
   * Copies a node's cells out of a sequence that holds them; returns where they are then. A state
   * that no tier has room for is not copied.
   */
  Place copy(Node<Place> node, int sequence) {
    if (!areThere() || (!pieces && isTooLarge(sequence))) {
      return Place.NOTHING;
    }
    List<CellBlock> blocks = new ArrayList<>();
    try {
      if (pieces) {
        copyBlocks(node, sequence, blocks);
      } else {
        blocks.add(
            cells.add(
                0,
                node.end(),
                arena -> NativeMemory.save(context, sequence, NativeMemory.Part.WHOLE, arena)));
      }
    } catch (RuntimeException | Error e) {
      blocks.forEach(cells::release);
      throw e;
    }
    return new Place.Cold(blocks);
  }

  private boolean isTooLarge(int sequence) {
    return NativeMemory.savedBytes(context, sequence, NativeMemory.Part.WHOLE)
        > Math.max(mostHostBytes, mostDiskBytes);
  }

  private void copyBlocks(Node<Place> node, int sequence, List<CellBlock> blocks) {
    for (int from = node.start(); from < node.end(); ) {
      int begin = from;
      int to = Math.min(node.end(), (from / BLOCK + 1) * BLOCK);
      blocks.add(
          cells.add(begin, to, arena -> NativeCells.read(context, sequence, begin, to, arena)));
      from = to;
    }
  }

  /** A resident node has left the context; without a copy it is forgotten. */
  void spilled(Node<Place> node) {
    if (node.value() instanceof Place.Nothing) {
      nodes.evict(node);
    } else {
      spillsToHost++;
    }
  }

  /** Frees the copies of a node that is resident again. */
  void release(Node<Place> node) {
    if (node.value() instanceof Place.Cold(List<CellBlock> blocks)) {
      blocks.forEach(cells::release);
      loadBacks++;
    }
  }

  /** Brings the blocks of a node from disk to host memory, as far as it may be used. */
  void warm(Node<Place> node) {
    if (mostHostBytes == 0 || !(node.value() instanceof Place.Cold(List<CellBlock> blocks))) {
      return;
    }
    boolean any = false;
    for (CellBlock block : blocks) {
      if (!block.isInMemory()) {
        try {
          cells.toHost(block);
          any = true;
        } catch (IOException e) {
          failures++; // and stays where it is, to be found damaged when it is needed
          return;
        }
      }
    }
    loadBacks += any ? 1 : 0;
  }

  /** Forgets a node whose cells could not be read or written, with all that hangs on them. */
  void lost(Node<Place> node) {
    failures++;
    releaseUsed.getAsBoolean();
    nodes.removeFrom(node);
  }

  // ---- down -------------------------------------------------------------------------------------

  /** Moves the node in memory that is worth least to disk, or forgets it; tells whether it did. */
  boolean spillHost() {
    if (!hasDisk) {
      return evict(
          nodes.coldest(
              node -> pieces ? isCold(node) && node.isLeaf() : !ownInMemory(node).isEmpty()));
    }
    Optional<Node<Place>> coldest =
        nodes.coldest(node -> !ownInMemory(node).isEmpty() && (!pieces || !isFollowedByWarm(node)));
    if (coldest.isEmpty()) {
      return false;
    }
    try {
      for (CellBlock block : ownInMemory(coldest.get())) {
        cells.toDisk(block);
      }
      spillsToDisk++;
    } catch (IOException e) {
      lost(coldest.get());
    }
    return true;
  }

  /** Forgets the node on disk that is worth least; tells whether there was one. */
  boolean evictDisk() {
    return evict(
        nodes.coldest(
            node -> isCold(node) && ownInMemory(node).isEmpty() && (!pieces || node.isLeaf())));
  }

  private boolean evict(Optional<Node<Place>> node) {
    node.ifPresent(nodes::evict);
    return node.isPresent();
  }

  /** Tells whether a node that follows has blocks in memory that go down with it. */
  private boolean isFollowedByWarm(Node<Place> node) {
    Deque<Node<Place>> next = new ArrayDeque<>(node.children()); // a tree may be deep
    while (!next.isEmpty()) {
      Node<Place> at = next.pop();
      if (!ownInMemory(at).isEmpty()) {
        return true;
      }
      at.children().forEach(next::push);
    }
    return false;
  }

  private static boolean isCold(Node<Place> node) {
    return node.value() instanceof Place.Cold;
  }

  /**
   * The blocks in memory that go down with a node: one that two nodes share goes with the first.
   */
  private List<CellBlock> ownInMemory(Node<Place> node) {
    return node.value() instanceof Place.Cold(List<CellBlock> blocks)
        ? blocks.stream()
            .filter(b -> b.isInMemory() && (!pieces || b.start() >= node.start()))
            .toList()
        : List.of();
  }
}
