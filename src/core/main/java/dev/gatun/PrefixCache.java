package dev.gatun;

import dev.gatun.error.AlreadyClosedException;
import dev.gatun.error.KvCacheFullException;
import dev.gatun.internal.NativeContext;
import dev.gatun.kv.PrefixTree;
import dev.gatun.kv.PrefixTree.Node;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeSet;

/**
 * Remembers what the sessions of a context have read, so that a text which begins like an earlier
 * one need not be read from its beginning.
 *
 * <pre>{@code
 * PrefixReuse reuse = cache.open(session, tokens); // an empty session
 * session.append(reuse.rest(tokens));              // only what is new; at least one token
 * cache.store(session);                            // for those that come after
 * }</pre>
 *
 * <p>The remembered texts form a tree ({@link PrefixTree}); beginnings that they share are held
 * once. Each piece is in one of three tiers: in the context's own cells, which sessions then share
 * and do not copy; in host memory; on disk. When a session needs cells or a sequence, or a tier is
 * used up, the piece worth least goes one tier down, and from the last one it is forgotten: that
 * with the lowest cost of reading it again for each byte, and among equal ones the one not used for
 * the longest time ({@link dev.gatun.kv.GreedyDualSize}). A piece goes only after those that follow
 * it. What sessions are using goes last.
 *
 * <p>The layers of sliding-window models forget, and a recurrent state cannot be divided. Of such
 * models whole states are kept, and they are found only by a text that begins with all of their
 * tokens. That holds under {@link ContextOptions#fullSlidingWindow()} too: a saved state does not
 * have all of its cells. While a text that was opened is read, two states are kept by themselves:
 * where it parts from an earlier one, which the third text of a kind then finds (Marconi, Pan et
 * al. 2024), and, of an exact cache, shortly before its end, which the next turn of a conversation
 * finds.
 *
 * <p>Only what a plain reading of the tokens has left is remembered: not what was shifted, evicted
 * or read under other adapters. A change of the position scaling or of the adapters forgets
 * everything.
 *
 * <p>Results: the logits are those of the text appended at once to an empty session without the
 * cache, bit by bit ({@link PrefixCacheOptions#exact()}, on by default). How sums are rounded
 * depends on the number of tokens that are computed together, so an exact cache reuses whole blocks
 * and leaves enough of a text to be read; and it depends on the order of the cells, which in a
 * unified cache is what sessions before have left: there the context has to be {@link
 * ContextOptions#reproducible()}, or under a two-band scaling. The cells of a sliding window lie in
 * another order after they were put back, so that a cache of such a model cannot be exact. A cache
 * that is not exact reuses to the token, and a word can differ where two were almost equally
 * likely.
 *
 * <p>Lifetime: it belongs to the context and is closed with it; its files are then removed. Those
 * of a process that was killed are removed by the next cache that writes to the same folder.
 */
@ThreadConfined("the thread that drives the context")
public final class PrefixCache implements AutoCloseable {
  /** Fewer tokens are read again sooner than a state is kept. */
  private static final int WORTH_TOKENS = 32;

  private final LlamaContext owner;
  private final PrefixCacheOptions options;
  private final PrefixTiers tiers;
  private final int microBatch;
  private final int block;

  /** The node that a session's cells go back to; pinned, so that it is spilled last. */
  private final Map<LlamaSession, Node<Place>> inUse = new IdentityHashMap<>();

  private boolean closed;
  private long lookups;
  private long hits;
  private long tokensLookedUp;
  private long tokensSaved;
  private long stores;

  PrefixCache(LlamaContext owner, NativeContext context, PrefixCacheOptions options) {
    this.owner = owner;
    this.options = options;
    this.tiers = new PrefixTiers(owner, context, options, this::releaseAll);
    this.microBatch = owner.microBatchTokens();
    this.block = options.exact() ? owner.blockTokens() : 1;
  }

  /** Returns the options it was made with. */
  public PrefixCacheOptions options() {
    return options;
  }

  /**
   * Returns what the cache reuses multiples of: 1, or of an exact cache the least number of tokens
   * that are computed together as many more are.
   */
  public int blockTokens() {
    return block;
  }

  /**
   * Puts the longest remembered beginning of a text into an empty session, without reading it. At
   * least the last token is left, so that appending the rest computes logits.
   *
   * @param session an empty session of the context
   * @param text token ids
   * @return what was found; the session holds as many tokens
   * @throws IllegalStateException if the session is not empty
   */
  public PrefixReuse open(LlamaSession session, int... text) {
    enter(session);
    try {
      session.requireIdle();
      if (session.size() > 0) {
        throw new IllegalStateException(
            "the session holds %d tokens; a remembered text can only be put into an empty one"
                .formatted(session.size()));
      }
      letGo(session);
      lookups++;
      tokensLookedUp += text.length;
      int most = Math.min(text.length - 1, session.remaining());
      if (most <= 0) {
        return PrefixReuse.none();
      }
      owner.growScaling(Math.min(text.length, session.remaining()));
      int limit = options.exact() ? Math.min(most, lastStart(session, text.length)) : most;
      int shared = tiers.isInPieces() ? 0 : tiers.matched(text);
      PrefixReuse reuse = tiers.bring(Arrays.copyOf(text, limit), block, session.cells());
      if (reuse.tokens() > 0) {
        hits++;
        tokensSaved += reuse.tokens();
        int[] prefix = Arrays.copyOf(text, reuse.tokens());
        session.cells().adopt(prefix, options.exact(), inUse.keySet());
        tiers.keep(prefix, session.cells()).ifPresent(node -> use(session, node));
        tiers.enforce();
      }
      if (!tiers.isInPieces()) {
        rememberOnTheWay(session, reuse.tokens(), Math.min(shared, limit), limit);
      }
      return reuse;
    } finally {
      session.exit();
    }
  }

  /**
   * Has states kept while the rest of a text is read.
   *
   * @param from tokens that are there
   * @param parting where the text parts from all that were remembered
   * @param last from where it can still be read on exactly
   */
  private void rememberOnTheWay(LlamaSession session, int from, int parting, int last) {
    SortedSet<Integer> points = new TreeSet<>();
    points.add(parting - parting % block);
    if (options.exact()) {
      points.add(last - last % block);
    }
    points.removeIf(point -> point < from + WORTH_TOKENS);
    session.cells().waypoints().set(points, () -> rememberHere(session));
  }

  /** Keeps the state of a session that is in the middle of a text. Inside the guard. */
  private void rememberHere(LlamaSession session) {
    SessionCells cells = session.cells();
    int count = closed ? 0 : storable(cells);
    if (count == 0) {
      return;
    }
    try {
      keep(session, cells.held().ids(0, count));
    } catch (KvCacheFullException | OutOfMemoryError e) {
      tiers.countFailure(); // the text is read all the same
    }
  }

  private void keep(LlamaSession session, int[] text) {
    stores++;
    letGo(session);
    tiers.keep(text, session.cells()).ifPresent(node -> use(session, node));
    tiers.enforce();
  }

  /**
   * Remembers what a session holds and has read. Nothing is copied as long as the context's own
   * cells are allowed for it.
   *
   * @return tokens that are remembered now; fewer than the session holds when a part of it is not
   *     what a plain reading would have left, cannot be reused exactly where that is asked for, or
   *     does not fit
   */
  public int store(LlamaSession session) {
    enter(session);
    try {
      session.requireIdle();
      SessionCells cells = session.cells();
      int count = storable(cells);
      if (count > 0) {
        keep(session, cells.held().ids(0, count));
      } else if (options.exact() && !tiers.isInPieces()) {
        count = cells.plain(); // of which a state may have been kept on the way
      }
      return tiers.remembered(cells.held().ids(0, count));
    } finally {
      session.exit();
    }
  }

  /** The last token from which a text can be read on so that all rows are computed the same way. */
  private int lastStart(LlamaSession session, int length) {
    int micro = (length - 1) / microBatch * microBatch;
    int start = Math.max(micro, (length - block) / block * block);
    return Math.min(start, session.cells().checkpoints().lastStart(length, block));
  }

  private int storable(SessionCells cells) {
    int plain = options.exact() ? cells.exact() : cells.plain();
    return tiers.isInPieces() || plain == cells.decoded() ? plain : 0;
  }

  /**
   * Tells that a session no longer needs what it shares with the cache to stay in the context. It
   * keeps its cells. Closing the session does the same.
   */
  public void release(LlamaSession session) {
    owner.enter();
    try {
      letGo(session);
    } finally {
      owner.exit();
    }
  }

  /** As {@link #release}, inside the guard. */
  void letGo(LlamaSession session) {
    Node<Place> node = inUse.remove(session);
    if (node != null) {
      node.unpin();
    }
  }

  private void use(LlamaSession session, Node<Place> node) {
    node.pin();
    inUse.put(session, node);
  }

  private boolean releaseAll() {
    boolean any = !inUse.isEmpty();
    inUse.values().forEach(Node::unpin);
    inUse.clear();
    return any;
  }

  /** Forgets everything. */
  public void clear() {
    owner.enter();
    try {
      requireOpen();
      forgetAll();
    } finally {
      owner.exit();
    }
  }

  /** Returns what it has done and what it holds. */
  public PrefixCacheStats stats() {
    return tiers.stats(lookups, hits, tokensLookedUp, tokensSaved, stores);
  }

  // ---- called by the context, inside its guard --------------------------------------------------

  /** Forgets everything. */
  void forgetAll() {
    releaseAll();
    tiers.forgetAll();
  }

  /** Throws when the context does not hold what the tree says. For tests. */
  void verify() {
    owner.enter();
    try {
      tiers.verify();
    } finally {
      owner.exit();
    }
  }

  /** Gives cells to a session that needs them; tells whether it gave any. */
  boolean yieldCells(int count) {
    return tiers.yieldCells(count);
  }

  /** Gives a sequence back to the context; tells whether it did. */
  boolean yieldSequence() {
    return tiers.yieldSequence();
  }

  /** Frees what it holds outside the context, which is closed. */
  void contextClosed() {
    closed = true;
    inUse.clear();
    tiers.freeCopies();
  }

  private void enter(LlamaSession session) {
    if (session.context() != owner) {
      throw new IllegalArgumentException("the session belongs to another context than the cache");
    }
    requireOpen();
    session.enter();
  }

  private void requireOpen() {
    if (closed) {
      throw new AlreadyClosedException("the prefix cache is closed");
    }
  }

  /** Forgets everything and removes the files; sessions keep their cells. Idempotent. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    owner.enter();
    try {
      closed = true;
      forgetAll();
      owner.closed(this);
    } finally {
      owner.exit();
    }
  }

  @Override
  public String toString() {
    return "PrefixCache[" + owner + ", " + stats() + "]";
  }
}
