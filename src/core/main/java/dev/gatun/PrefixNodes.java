package dev.gatun;

import dev.gatun.internal.NativeCells;
import dev.gatun.internal.NativeContext;
import dev.gatun.kv.GreedyDualSize;
import dev.gatun.kv.PrefixTree;
import dev.gatun.kv.PrefixTree.Match;
import dev.gatun.kv.PrefixTree.Node;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * The tree of a prefix cache: which texts it remembers, what each node is worth, and how nodes are
 * forgotten. It knows nothing of sequences: a node that is forgotten is in no context any more.
 */
final class PrefixNodes {
  private final LlamaContext owner;
  private final ColdCells cold;
  private final boolean pieces;
  private final double attentionTokens;
  private final long tokenBytes;
  private GreedyDualSize order = new GreedyDualSize();
  private PrefixTree<Place> tree;
  private long evictions;

  /**
   * Creates an empty tree.
   *
   * @param pieces whether a part of what is remembered can be used
   */
  PrefixNodes(LlamaContext owner, NativeContext context, ColdCells cold, boolean pieces) {
    this.owner = owner;
    this.cold = cold;
    this.pieces = pieces;
    this.attentionTokens = attentionTokens(owner.model());
    this.tokenBytes = pieces ? NativeCells.bytes(context, 1) : 0;
    this.tree = newTree();
  }

  /**
   * The tokens to attend to that cost as much as the weights: 2 operations a weight and token, 4 an
   * element of the layer's width and token attended to.
   */
  private static double attentionTokens(LlamaModel model) {
    double widths = (double) model.layerCount() * model.embeddingLength();
    return Math.max(1, model.parameterCount() / (2 * Math.max(1, widths)));
  }

  private PrefixTree<Place> newTree() {
    return new PrefixTree<>(pieces ? new Place.Pieces(cold) : new Place.States(), Place.NOTHING);
  }

  Collection<Node<Place>> all() {
    return tree.nodes();
  }

  boolean contains(Node<Place> node) {
    return tree.nodes().contains(node);
  }

  Match<Place> match(int[] text) {
    return tree.match(text);
  }

  /** Remembers a text; returns the nodes from its beginning to its end. */
  List<Node<Place>> insert(int[] text) {
    List<Node<Place>> path = new ArrayList<>();
    for (Optional<Node<Place>> node = Optional.of(tree.insert(text, start -> Place.NOTHING));
        node.isPresent();
        node = node.get().parent()) {
      path.add(node.get());
    }
    return path.reversed();
  }

  /** Position of the first cell of a node. */
  int start(Node<Place> node) {
    return pieces ? node.start() : 0;
  }

  // ---- worth ------------------------------------------------------------------------------------

  /** Tells that a node was used. */
  void touch(Node<Place> node) {
    int start = start(node);
    double cost = GreedyDualSize.readingCost(start, node.end() - start, attentionTokens);
    tree.touch(node, order.worth(cost, Math.max(1, bytesOf(node))));
  }

  /** Bytes of a node's cells, wherever they are; 0 when the model's memory is not predicted. */
  private long bytesOf(Node<Place> node) {
    if (pieces) {
      return node.size() * tokenBytes;
    }
    return node.value() instanceof Place.Cold(List<CellBlock> blocks)
        ? blocks.getFirst().size()
        : owner.kvPlan().map(plan -> plan.sessionBytes(node.end())).orElse(0L);
  }

  long residentBytes() {
    return tree.nodes().stream()
        .filter(node -> node.value().isResident())
        .mapToLong(this::bytesOf)
        .sum();
  }

  /** Returns the node worth least of those that are not in use. */
  Optional<Node<Place>> coldest(Predicate<Node<Place>> among) {
    return tree.coldest(node -> !node.isPinned() && among.test(node));
  }

  // ---- forgetting -------------------------------------------------------------------------------

  /** Nodes that were forgotten for want of room. */
  long evictions() {
    return evictions;
  }

  /** Forgets a node's cells for want of room, and the node when nothing follows. */
  void evict(Node<Place> node) {
    evictions++;
    order.evicted(node.heat());
    forgetCells(node);
    prune(node);
  }

  private void forgetCells(Node<Place> node) {
    if (node.value() instanceof Place.Cold(List<CellBlock> blocks)) {
      blocks.forEach(cold::release);
    }
    node.setValue(Place.NOTHING);
  }

  /**
   * Removes a node without cells that nothing follows, and those before it that become so; joins
   * one with its only child.
   */
  void prune(Node<Place> node) {
    Optional<Node<Place>> next = Optional.of(node);
    while (next.isPresent()
        && contains(next.get())
        && !next.get().isPinned()
        && next.get().value() instanceof Place.Nothing) {
      Node<Place> empty = next.get();
      if (!empty.isLeaf()) {
        tree.join(empty);
        return;
      }
      next = empty.parent();
      tree.remove(empty);
    }
  }

  /** Forgets a node whose cells are lost and, in pieces, all that follow. */
  void removeFrom(Node<Place> node) {
    List<Node<Place>> lost = new ArrayList<>();
    lost.add(node);
    for (int i = 0; pieces && i < lost.size(); i++) {
      lost.addAll(lost.get(i).children());
    }
    lost.forEach(this::forgetCells); // first all, so that no two nodes are joined on the way
    for (Node<Place> each : lost.reversed()) {
      if (contains(each)) {
        prune(each);
      }
    }
  }

  /** Frees all copies and forgets every node. */
  void clear() {
    for (Node<Place> node : tree.nodes()) {
      if (node.value() instanceof Place.Cold(List<CellBlock> blocks)) {
        blocks.forEach(cold::release);
      }
    }
    tree = newTree();
    order = new GreedyDualSize();
  }
}
