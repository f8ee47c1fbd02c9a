package dev.gatun;

import dev.gatun.internal.NativeCells;
import dev.gatun.internal.NativeContext;
import dev.gatun.internal.NativeMemory;
import dev.gatun.kv.PrefixTree.Node;
import java.util.Optional;

/**
 * The nodes of a prefix cache that are in the context's own cells, and the sequences that hold
 * them.
 *
 * <p>In pieces they are the upper part of the tree, and each of them that no resident one follows
 * has a sequence, which holds the cells of its whole path. A whole state has a sequence to itself.
 */
final class ResidentTier {
  private final LlamaContext owner;
  private final NativeContext context;
  private final PrefixNodes nodes;
  private final ColdTiers cold;
  private final boolean pieces;
  private final int mostTokens;
  private final int mostSequences;
  private long tokens;
  private int sequences;

  ResidentTier(
      LlamaContext owner,
      NativeContext context,
      PrefixCacheOptions options,
      PrefixNodes nodes,
      ColdTiers cold,
      boolean pieces) {
    this.owner = owner;
    this.context = context;
    this.nodes = nodes;
    this.cold = cold;
    this.pieces = pieces;
    this.mostTokens = options.residentTokens();
    boolean shared = owner.options().unifiedKv() && mostTokens > 0;
    this.mostSequences =
        shared ? Math.min(options.residentSequences(), owner.options().maxSequences() - 1) : 0;
  }

  /** Tokens of the nodes. */
  long tokens() {
    return tokens;
  }

  /** Sequences that hold them. */
  int sequences() {
    return sequences;
  }

  boolean isOverBudget() {
    return tokens > mostTokens;
  }

  /** Tells whether there can be any. */
  boolean isUsable() {
    return mostSequences > 0;
  }

  /** Returns a sequence that holds a resident node's cells. */
  static int sequenceOf(Node<Place> node) {
    Node<Place> at = node;
    while (!(at.value() instanceof Place.Resident)) {
      at = at.children().stream().filter(n -> n.value().isResident()).findFirst().orElseThrow();
    }
    return ((Place.Resident) at.value()).sequence();
  }

  // ---- up ---------------------------------------------------------------------------------------

  /** Makes the cache share a session's cells of a piece; those before it are resident. */
  boolean takePiece(Node<Place> node, int session) {
    if (!makeRoom(node.size())) {
      return false;
    }
    Optional<Node<Place>> parent = node.parent();
    if (parent.isPresent() && parent.get().value() instanceof Place.Resident(int sequence)) {
      NativeMemory.share(context, session, sequence, node.start(), node.end());
      parent.get().setValue(Place.COVERED);
      taken(node, sequence);
      return true;
    }
    int sequence = takeSequence();
    if (sequence < 0) {
      return false;
    }
    if (parent.isPresent() && parent.get().value() instanceof Place.Resident(int freed)) {
      // Taking one has made the parent the last of its path.
      giveBack(sequence);
      sequence = freed;
      parent.get().setValue(Place.COVERED);
    } else if (parent.isPresent()) {
      NativeMemory.share(context, sequenceOf(parent.get()), sequence, 0, node.start());
    }
    NativeMemory.share(context, session, sequence, node.start(), node.end());
    taken(node, sequence);
    return true;
  }

  /** Makes the cache share all that a session has. */
  boolean takeState(Node<Place> node, int session) {
    if (!isUsable() || !makeRoom(node.end())) {
      return false;
    }
    int sequence = takeSequence();
    if (sequence < 0) {
      return false;
    }
    NativeMemory.share(context, session, sequence);
    taken(node, sequence);
    return true;
  }

  private void taken(Node<Place> node, int sequence) {
    cold.release(node);
    node.setValue(new Place.Resident(sequence));
    tokens += node.end() - nodes.start(node);
  }

  private boolean makeRoom(int count) {
    if (count > mostTokens) {
      return false;
    }
    while (tokens + count > mostTokens) {
      if (!spill()) {
        return false;
      }
    }
    return true;
  }

  /** Returns a sequence of the context; -1 when there is none to be had. */
  private int takeSequence() {
    while (true) {
      int sequence = sequences < mostSequences ? owner.takeSequence() : -1;
      if (sequence >= 0) {
        sequences++;
        return sequence;
      }
      if (!spill()) {
        return -1;
      }
    }
  }

  private void giveBack(int sequence) {
    sequences--;
    owner.returnSequence(sequence);
  }

  // ---- down -------------------------------------------------------------------------------------

  /** Moves the node that is worth least down; tells whether there was one that is not in use. */
  boolean spill() {
    Optional<Node<Place>> coldest = nodes.coldest(node -> node.value() instanceof Place.Resident);
    coldest.ifPresent(this::spill);
    return coldest.isPresent();
  }

  private void spill(Node<Place> node) {
    int sequence = ((Place.Resident) node.value()).sequence();
    node.setValue(cold.copy(node, sequence)); // first: it may find no memory
    tokens -= node.end() - nodes.start(node);
    Optional<Node<Place>> parent = node.parent();
    boolean last =
        pieces
            && parent.isPresent()
            && parent.get().children().stream().noneMatch(n -> n.value().isResident());
    if (last) {
      NativeMemory.remove(context, sequence, node.start(), NativeCells.END);
      parent.get().setValue(new Place.Resident(sequence));
    } else {
      NativeMemory.removeAll(context, sequence);
      giveBack(sequence);
    }
    cold.spilled(node);
  }

  /** Removes the cells of all nodes, which are then forgotten. */
  void clear() {
    for (Node<Place> node : nodes.all()) {
      if (node.value() instanceof Place.Resident(int sequence)) {
        NativeMemory.removeAll(context, sequence);
        giveBack(sequence);
      }
    }
    tokens = 0;
  }

  /** As {@link #clear} when the context is gone. */
  void contextClosed() {
    tokens = 0;
  }
}
