package dev.gatun;

import dev.gatun.internal.NativeCells;
import dev.gatun.internal.NativeContext;
import dev.gatun.internal.NativeMemory;
import dev.gatun.kv.PrefixTree.Match;
import dev.gatun.kv.PrefixTree.Node;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/**
 * The tree of a prefix cache and the tiers that its nodes are in: bringing cells to a session,
 * keeping those of a session, and moving the coldest down. Every method is called inside the
 * context's guard.
 *
 * <p>In pieces, no node is in a warmer tier than the one before it: {@link ResidentTier}, then host
 * memory, then disk ({@link ColdTiers}).
 */
final class PrefixTiers {
  private final NativeContext context;
  private final BooleanSupplier releaseUsed;
  private final boolean pieces;
  private final ColdCells cells;
  private final PrefixNodes nodes;
  private final ColdTiers cold;
  private final ResidentTier resident;

  /**
   * Creates an empty tree.
   *
   * @param releaseUsed unpins what sessions use; tells whether anything was pinned
   */
  PrefixTiers(
      LlamaContext owner,
      NativeContext context,
      PrefixCacheOptions options,
      BooleanSupplier releaseUsed) {
    this(owner, context, options, releaseUsed, new ColdCells(options.disk()));
  }

  PrefixTiers(
      LlamaContext owner,
      NativeContext context,
      PrefixCacheOptions options,
      BooleanSupplier releaseUsed,
      ColdCells cells) {
    this.context = context;
    this.releaseUsed = releaseUsed;
    LlamaModel model = owner.model();
    this.pieces =
        !model.isRecurrent()
            && !model.isHybrid()
            && model.slidingWindowTokens() == 0
            && NativeMemory.canShift(context); // else its positions have several dimensions
    this.cells = cells;
    this.nodes = new PrefixNodes(owner, context, cells, pieces);
    this.cold = new ColdTiers(context, options, nodes, cells, releaseUsed, pieces);
    this.resident = new ResidentTier(owner, context, options, nodes, cold, pieces);
  }

  /** Tells whether a part of what is remembered can be used. */
  boolean isInPieces() {
    return pieces;
  }

  /** Returns how many tokens of a text are remembered. */
  int remembered(int[] text) {
    return usable(nodes.match(text), 1);
  }

  /** Returns how many tokens of a text begin some remembered one, whether it helps or not. */
  int matched(int[] text) {
    return nodes.match(text).length();
  }

  void countFailure() {
    cold.countFailure();
  }

  private int usable(Match<Place> match, int multiple) {
    if (pieces) {
      return match.length() - match.length() % multiple;
    }
    for (Node<Place> node : match.path().reversed()) {
      boolean whole = node.end() <= match.length() && node.end() % multiple == 0;
      if (whole && !(node.value() instanceof Place.Nothing)) {
        return node.end();
      }
    }
    return 0;
  }

  // ---- to a session -----------------------------------------------------------------------------

  /**
   * Puts cells into an empty sequence.
   *
   * @param text what is wanted
   * @param multiple the number of tokens is a multiple of it
   * @return what is there now
   */
  PrefixReuse bring(int[] text, int multiple, SessionCells session) {
    Match<Place> match = nodes.match(text);
    int length = usable(match, multiple);
    List<Node<Place>> path = match.path().stream().filter(node -> node.start() < length).toList();
    if (length == 0) {
      return PrefixReuse.none();
    }
    path.forEach(Node::pin);
    PrefixBringing bringing =
        new PrefixBringing(context, cells, this::yieldCells, session.sequence());
    try {
      if (pieces) {
        bringing.pieces(path, length);
        bringing.cutTo(Math.min(bringing.have(), length) / multiple * multiple);
      } else {
        bringing.state(path.getLast());
      }
    } catch (RuntimeException | Error e) {
      NativeMemory.removeAll(context, session.sequence()); // the session holds nothing yet
      throw e;
    } finally {
      path.forEach(Node::unpin);
    }
    bringing.damaged().ifPresent(cold::lost);
    return bringing.reuse();
  }

  // ---- from a session ---------------------------------------------------------------------------

  /**
   * Remembers a text whose cells a session holds, or warms it when it is remembered.
   *
   * @return the last node with cells; none if there was no room
   */
  Optional<Node<Place>> keep(int[] text, SessionCells session) {
    List<Node<Place>> path = nodes.insert(text);
    Node<Place> last = path.getLast();
    path.forEach(Node::pin);
    boolean done = false;
    try {
      if (pieces) {
        keepPieces(path, session.sequence());
      } else if (!last.value().isResident() && !resident.takeState(last, session.sequence())) {
        keepCold(last, session.sequence());
      }
      done = true;
    } finally {
      path.forEach(Node::unpin);
      if (!done) {
        nodes.prune(last);
      }
    }
    path.forEach(nodes::touch);
    if (!(last.value() instanceof Place.Nothing)) {
      return Optional.of(last);
    }
    Optional<Node<Place>> before = last.parent();
    nodes.prune(last);
    return before.filter(node -> nodes.contains(node) && !(node.value() instanceof Place.Nothing));
  }

  private void keepPieces(List<Node<Place>> path, int sequence) {
    boolean warm = resident.isUsable();
    for (Node<Place> node : path) {
      if (!node.value().isResident()) {
        warm = warm && resident.takePiece(node, sequence);
        if (!warm) {
          keepCold(node, sequence);
        }
      }
    }
  }

  private void keepCold(Node<Place> node, int sequence) {
    if (node.value() instanceof Place.Nothing) {
      node.setValue(cold.copy(node, sequence));
    } else {
      cold.warm(node);
    }
  }

  // ---- down -------------------------------------------------------------------------------------

  /** Moves the coldest down until every tier is within its budget. */
  void enforce() {
    while (resident.isOverBudget() && orElseReleased(resident::spill)) {}
    while (cold.isOverHostBudget() && orElseReleased(cold::spillHost)) {}
    while (cold.isOverDiskBudget() && orElseReleased(cold::evictDisk)) {}
  }

  /** Runs a step; when everything is in use, again without regard to that. */
  private boolean orElseReleased(BooleanSupplier step) {
    return step.getAsBoolean() || (releaseUsed.getAsBoolean() && step.getAsBoolean());
  }

  /** Spills resident nodes of at least as many tokens; tells whether there were any. */
  boolean yieldCells(int count) {
    long before = resident.tokens();
    while (before - resident.tokens() < count && orElseReleased(resident::spill)) {}
    enforceCold();
    return resident.tokens() < before;
  }

  boolean yieldSequence() {
    int before = resident.sequences();
    while (resident.sequences() == before && orElseReleased(resident::spill)) {}
    enforceCold();
    return resident.sequences() < before;
  }

  private void enforceCold() {
    while (cold.isOverHostBudget() && cold.spillHost()) {}
    while (cold.isOverDiskBudget() && cold.evictDisk()) {}
  }

  // ---- all --------------------------------------------------------------------------------------

  /** Throws when the context does not hold what the tree says. For tests. */
  void verify() {
    for (Node<Place> node : nodes.all()) {
      if (pieces && node.value() instanceof Place.Resident(int sequence)) {
        int[] held = NativeCells.positions(context, sequence, 0, NativeCells.END);
        for (int i = 0; i < node.end(); i++) {
          if (held.length != node.end() || held[i] != i) {
            throw new IllegalStateException(
                "the sequence %d of node %s holds %s"
                    .formatted(sequence, node, Arrays.toString(held)));
          }
        }
      }
    }
  }

  void forgetAll() {
    resident.clear();
    nodes.clear();
  }

  /** As {@link #forgetAll} when the context is gone. */
  void freeCopies() {
    resident.contextClosed();
    nodes.clear();
  }

  PrefixCacheStats stats(
      long lookups, long hits, long tokensLookedUp, long tokensSaved, long stores) {
    return new PrefixCacheStats(
        lookups,
        hits,
        tokensLookedUp,
        tokensSaved,
        stores,
        nodes.all().size(),
        resident.tokens(),
        resident.sequences(),
        nodes.residentBytes(),
        cells.hostBytes(),
        cells.diskBytes(),
        cold.spillsToHost(),
        cold.spillsToDisk(),
        cold.loadBacks(),
        nodes.evictions(),
        cold.failures());
  }
}
