package dev.gatun;

import dev.gatun.internal.NativeCells;
import dev.gatun.internal.NativeContext;
import dev.gatun.internal.NativeMemory;
import dev.gatun.kv.GreedyDualSize;
import dev.gatun.kv.PrefixTree;
import dev.gatun.kv.PrefixTree.Match;
import dev.gatun.kv.PrefixTree.Node;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.function.Predicate;

/**
 * The tree of a prefix cache and the tiers that its nodes are in: bringing cells to a session,
 * keeping those of a session, and moving the coldest down. Every method is called inside the
 * context's guard.
 *
 * <p>In pieces, no node is in a warmer tier than the one before it: the resident nodes are the
 * upper part of the tree, and each of them that no resident one follows has a sequence of the
 * context, which holds the cells of its whole path.
 *
 * <p>One class although it is long: every step keeps that order between the tree, the sequences and
 * the copies.
 */
final class PrefixTiers {
  /** Most tokens in one copied block: what a division inside it makes two nodes hold on to. */
  private static final int BLOCK = 256;

  private final LlamaContext owner;
  private final NativeContext context;
  private final PrefixCacheOptions options;
  private final BooleanSupplier releaseUsed;
  private final boolean pieces;
  private final int mostSequences;
  private final double attentionTokens;
  private final long tokenBytes;
  private final ColdCells cold;
  private GreedyDualSize order = new GreedyDualSize();
  private PrefixTree<Place> tree;
  private long residentTokens;
  private int sequences;
  private long spillsToHost;
  private long spillsToDisk;
  private long loadBacks;
  private long evictions;
  private long failures;

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
    this.owner = owner;
    this.context = context;
    this.options = options;
    this.releaseUsed = releaseUsed;
    LlamaModel model = owner.model();
    this.pieces =
        !model.isRecurrent()
            && !model.isHybrid()
            && model.slidingWindowTokens() == 0
            && NativeMemory.canShift(context); // else its positions have several dimensions
    boolean shared = owner.options().unifiedKv() && options.residentTokens() > 0;
    this.mostSequences =
        shared ? Math.min(options.residentSequences(), owner.options().maxSequences() - 1) : 0;
    this.attentionTokens = attentionTokens(model);
    this.tokenBytes = pieces ? NativeCells.bytes(context, 1) : 0;
    this.cold = new ColdCells(options.disk());
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

  /** Tells whether a part of what is remembered can be used. */
  boolean isInPieces() {
    return pieces;
  }

  /** Returns how many tokens of a text are remembered. */
  int remembered(int[] text) {
    return usable(tree.match(text), 1);
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
    Match<Place> match = tree.match(text);
    int length = usable(match, multiple);
    List<Node<Place>> path = match.path().stream().filter(node -> node.start() < length).toList();
    if (length == 0) {
      return PrefixReuse.none();
    }
    path.forEach(Node::pin);
    PrefixBringing bringing =
        new PrefixBringing(context, cold, this::yieldCells, session.sequence());
    try {
      if (pieces) {
        path.forEach(node -> bringing.piece(node, Math.min(node.end(), length)));
        bringing.cutTo(Math.min(bringing.have(), length) / multiple * multiple);
      } else {
        bringing.state(path.getLast());
      }
    } finally {
      path.forEach(Node::unpin);
    }
    if (bringing.damaged().isPresent()) {
      failures++;
      releaseUsed.getAsBoolean();
      removeFrom(bringing.damaged().get());
    }
    return bringing.reuse();
  }

  // ---- from a session ---------------------------------------------------------------------------

  /**
   * Remembers a text whose cells a session holds, or warms it when it is remembered.
   *
   * @return the last node with cells; none if there was no room
   */
  Optional<Node<Place>> keep(int[] text, SessionCells session) {
    Node<Place> last = tree.insert(text, start -> Place.NOTHING);
    List<Node<Place>> path = path(last);
    path.forEach(Node::pin);
    try {
      if (pieces) {
        keepPieces(path, session);
      } else {
        keepState(last, session);
      }
    } finally {
      path.forEach(Node::unpin);
    }
    path.forEach(this::touch);
    if (!(last.value() instanceof Place.Nothing)) {
      return Optional.of(last);
    }
    Optional<Node<Place>> before = last.parent();
    prune(last);
    return before.filter(node -> tree.nodes().contains(node));
  }

  private static List<Node<Place>> path(Node<Place> last) {
    List<Node<Place>> path = new ArrayList<>();
    for (Optional<Node<Place>> node = Optional.of(last);
        node.isPresent();
        node = node.get().parent()) {
      path.addFirst(node.get());
    }
    return path;
  }

  private void touch(Node<Place> node) {
    int start = pieces ? node.start() : 0;
    int tokens = node.end() - start;
    double cost = GreedyDualSize.readingCost(start, tokens, attentionTokens);
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

  private long residentBytes() {
    return tree.nodes().stream()
        .filter(node -> node.value().isResident())
        .mapToLong(this::bytesOf)
        .sum();
  }

  private void keepPieces(List<Node<Place>> path, SessionCells session) {
    boolean resident = mostSequences > 0;
    for (Node<Place> node : path) {
      if (node.value().isResident()) {
        continue;
      }
      resident = resident && makeResident(node, session.sequence());
      if (!resident && node.value() instanceof Place.Nothing) {
        copyOut(node, session.sequence());
      } else if (!resident) {
        warm(node);
      }
    }
  }

  private void keepState(Node<Place> node, SessionCells session) {
    if (node.value().isResident() || makeStateResident(node, session.sequence())) {
      return;
    }
    if (node.value() instanceof Place.Nothing) {
      copyOut(node, session.sequence());
    } else {
      warm(node);
    }
  }

  private boolean hasColdTiers() {
    return options.hostBytes() > 0 || options.disk().isPresent();
  }

  private void copyOut(Node<Place> node, int sequence) {
    if (hasColdTiers()) {
      node.setValue(copy(sequence, pieces ? node.start() : 0, node.end()));
    }
  }

  /** Copies cells of a sequence out: in blocks, or as one state. */
  private Place copy(int sequence, int start, int end) {
    List<CellBlock> blocks = new ArrayList<>();
    if (!pieces) {
      blocks.add(
          cold.add(
              start,
              end,
              arena -> NativeMemory.save(context, sequence, NativeMemory.Part.WHOLE, arena)));
      return new Place.Cold(blocks);
    }
    for (int from = start; from < end; ) {
      int begin = from;
      int to = Math.min(end, (from / BLOCK + 1) * BLOCK);
      blocks.add(
          cold.add(begin, to, arena -> NativeCells.read(context, sequence, begin, to, arena)));
      from = to;
    }
    return new Place.Cold(blocks);
  }

  /** Brings the blocks of a node from disk to host memory, as far as it may be used. */
  private void warm(Node<Place> node) {
    if (options.hostBytes() == 0 || !(node.value() instanceof Place.Cold(List<CellBlock> blocks))) {
      return;
    }
    boolean any = false;
    for (CellBlock block : blocks) {
      if (!block.isInMemory()) {
        try {
          cold.toHost(block);
          any = true;
        } catch (IOException e) {
          failures++; // and stays where it is, to be found damaged when it is needed
          return;
        }
      }
    }
    loadBacks += any ? 1 : 0;
  }

  /** Makes the cache share a session's cells of a node; those before it are resident. */
  private boolean makeResident(Node<Place> node, int session) {
    if (!makeResidentRoom(node.size())) {
      return false;
    }
    Optional<Node<Place>> parent = node.parent();
    if (parent.isPresent() && parent.get().value() instanceof Place.Resident(int sequence)) {
      NativeMemory.share(context, session, sequence, node.start(), node.end());
      parent.get().setValue(Place.COVERED);
      resident(node, sequence, node.size());
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
    resident(node, sequence, node.size());
    return true;
  }

  private boolean makeStateResident(Node<Place> node, int session) {
    if (mostSequences == 0 || !makeResidentRoom(node.end())) {
      return false;
    }
    int sequence = takeSequence();
    if (sequence < 0) {
      return false;
    }
    NativeMemory.share(context, session, sequence);
    resident(node, sequence, node.end());
    return true;
  }

  private void resident(Node<Place> node, int sequence, int tokens) {
    if (node.value() instanceof Place.Cold(List<CellBlock> blocks)) {
      blocks.forEach(cold::release);
      loadBacks++;
    }
    node.setValue(new Place.Resident(sequence));
    residentTokens += tokens;
  }

  private boolean makeResidentRoom(int tokens) {
    if (tokens > options.residentTokens()) {
      return false;
    }
    while (residentTokens + tokens > options.residentTokens()) {
      if (!spillResident()) {
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
      if (!spillResident()) {
        return -1;
      }
    }
  }

  private void giveBack(int sequence) {
    sequences--;
    owner.returnSequence(sequence);
  }

  /** Returns a sequence that holds a resident node's cells. */
  static int sequenceOf(Node<Place> node) {
    Node<Place> at = node;
    while (!(at.value() instanceof Place.Resident)) {
      at = at.children().stream().filter(n -> n.value().isResident()).findFirst().orElseThrow();
    }
    return ((Place.Resident) at.value()).sequence();
  }

  // ---- down -------------------------------------------------------------------------------------

  /** Moves the coldest down until every tier is within its budget. */
  void enforce() {
    while (residentTokens > options.residentTokens() && orElseReleased(this::spillResident)) {}
    while (cold.hostBytes() > options.hostBytes() && orElseReleased(this::spillHost)) {}
    long most = options.disk().map(PrefixCacheOptions.Disk::bytes).orElse(0L);
    while (cold.diskBytes() > most && orElseReleased(this::evictDisk)) {}
  }

  /** Runs a step; when everything is in use, again without regard to that. */
  private boolean orElseReleased(BooleanSupplier step) {
    return step.getAsBoolean() || (releaseUsed.getAsBoolean() && step.getAsBoolean());
  }

  /** Spills resident nodes of at least as many tokens; tells whether there were any. */
  boolean yieldCells(int count) {
    long before = residentTokens;
    while (before - residentTokens < count && orElseReleased(this::spillResident)) {}
    enforceCold();
    return residentTokens < before;
  }

  boolean yieldSequence() {
    int before = sequences;
    while (sequences == before && orElseReleased(this::spillResident)) {}
    enforceCold();
    return sequences < before;
  }

  private void enforceCold() {
    while (cold.hostBytes() > options.hostBytes() && spillHost()) {}
    long most = options.disk().map(PrefixCacheOptions.Disk::bytes).orElse(0L);
    while (cold.diskBytes() > most && evictDisk()) {}
  }

  private Optional<Node<Place>> coldest(Predicate<Node<Place>> among) {
    return tree.coldest(node -> !node.isPinned() && among.test(node));
  }

  private boolean spillResident() {
    Optional<Node<Place>> coldest = coldest(node -> node.value() instanceof Place.Resident);
    coldest.ifPresent(this::spill);
    return coldest.isPresent();
  }

  private void spill(Node<Place> node) {
    int sequence = ((Place.Resident) node.value()).sequence();
    int start = pieces ? node.start() : 0;
    residentTokens -= node.end() - start;
    node.setValue(Place.NOTHING);
    copyOut(node, sequence);
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
    if (hasColdTiers()) {
      spillsToHost++;
    } else {
      evicted(node);
    }
  }

  private boolean spillHost() {
    if (options.disk().isEmpty()) {
      Optional<Node<Place>> coldest =
          coldest(node -> pieces ? isCold(node) && node.isLeaf() : !ownInMemory(node).isEmpty());
      coldest.ifPresent(this::evicted);
      return coldest.isPresent();
    }
    Optional<Node<Place>> coldest =
        coldest(
            node ->
                !ownInMemory(node).isEmpty()
                    && (!pieces || node.children().stream().noneMatch(this::isWarm)));
    if (coldest.isEmpty()) {
      return false;
    }
    Node<Place> node = coldest.get();
    try {
      for (CellBlock block : ownInMemory(node)) {
        cold.toDisk(block);
      }
      spillsToDisk++;
    } catch (IOException e) {
      failures++;
      releaseUsed.getAsBoolean();
      removeFrom(node);
    }
    return true;
  }

  private boolean evictDisk() {
    Optional<Node<Place>> coldest =
        coldest(node -> isCold(node) && ownInMemory(node).isEmpty() && (!pieces || node.isLeaf()));
    coldest.ifPresent(this::evicted);
    return coldest.isPresent();
  }

  /** Tells whether a node or one that follows it has blocks in memory that go down with it. */
  private boolean isWarm(Node<Place> node) {
    return !ownInMemory(node).isEmpty() || node.children().stream().anyMatch(this::isWarm);
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

  private void evicted(Node<Place> node) {
    evictions++;
    order.evicted(node.heat());
    forget(node);
  }

  /** Forgets a node's cells, and the node when nothing follows. */
  private void forget(Node<Place> node) {
    if (node.value() instanceof Place.Cold(List<CellBlock> blocks)) {
      blocks.forEach(cold::release);
    }
    node.setValue(Place.NOTHING);
    prune(node);
  }

  /**
   * Removes a node without cells that nothing follows, and those before it that become so; joins
   * one with its only child.
   */
  private void prune(Node<Place> node) {
    Optional<Node<Place>> next = Optional.of(node);
    while (next.isPresent()
        && tree.nodes().contains(next.get())
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
  private void removeFrom(Node<Place> node) {
    List<Node<Place>> lost = new ArrayList<>();
    lost.add(node);
    for (int i = 0; pieces && i < lost.size(); i++) {
      lost.addAll(lost.get(i).children());
    }
    // First all cells, so that no two nodes are joined on the way.
    for (Node<Place> each : lost) {
      if (each.value() instanceof Place.Cold(List<CellBlock> blocks)) {
        blocks.forEach(cold::release);
      }
      each.setValue(Place.NOTHING);
    }
    for (Node<Place> each : lost.reversed()) {
      if (tree.nodes().contains(each)) {
        prune(each);
      }
    }
  }

  /** Throws when the context does not hold what the tree says. For tests. */
  void verify() {
    for (Node<Place> node : tree.nodes()) {
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
    for (Node<Place> node : tree.nodes()) {
      switch (node.value()) {
        case Place.Resident(int sequence) -> {
          NativeMemory.removeAll(context, sequence);
          giveBack(sequence);
        }
        case Place.Cold(List<CellBlock> blocks) -> blocks.forEach(cold::release);
        case Place.Covered _, Place.Nothing _ -> {}
      }
    }
    reset();
  }

  /** As {@link #forgetAll} when the context is gone. */
  void freeCopies() {
    for (Node<Place> node : tree.nodes()) {
      if (node.value() instanceof Place.Cold(List<CellBlock> blocks)) {
        blocks.forEach(cold::release);
      }
    }
    reset();
  }

  private void reset() {
    tree = newTree();
    order = new GreedyDualSize();
    residentTokens = 0;
  }

  PrefixCacheStats stats(
      long lookups, long hits, long tokensLookedUp, long tokensSaved, long stores) {
    return new PrefixCacheStats(
        lookups,
        hits,
        tokensLookedUp,
        tokensSaved,
        stores,
        tree.nodes().size(),
        residentTokens,
        sequences,
        residentBytes(),
        cold.hostBytes(),
        cold.diskBytes(),
        spillsToHost,
        spillsToDisk,
        loadBacks,
        evictions,
        failures);
  }
}
