package dev.gatun;

import dev.gatun.error.CallbackException;
import dev.gatun.error.KvCacheFullException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.internal.NativeAttention;
import dev.gatun.internal.NativeAttention.Watch;
import dev.gatun.internal.NativeCells;
import dev.gatun.internal.NativeContext;
import dev.gatun.kv.Compaction;
import dev.gatun.kv.EvictionNeeds;
import dev.gatun.kv.EvictionOptions;
import dev.gatun.kv.EvictionPolicy;
import dev.gatun.kv.EvictionReport;
import dev.gatun.kv.EvictionSelection;
import dev.gatun.kv.KvPlan;
import dev.gatun.kv.Observation;
import dev.gatun.kv.TokenRange;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;

/**
 * Cuts the cells of one session to a budget: observes what the policy asks for, lets it score,
 * keeps what the selection says. Inside the context's guard.
 *
 * <p>When something fails before the selection is made, the session holds what it held before.
 */
final class Evictor {
  private static final int PADDING = 256;

  private final LlamaContext owner;
  private final NativeContext context;
  private final SessionCells cells;

  Evictor(LlamaContext owner, NativeContext context, SessionCells cells) {
    this.owner = owner;
    this.context = context;
    this.cells = cells;
  }

  /**
   * Refuses sessions that cannot forget a part of their text.
   *
   * @throws UnsupportedOperationForModelException if so
   */
  static void requireEvictable(LlamaContext owner) {
    if (owner.model().isRecurrent() || owner.model().isHybrid()) {
      throw new UnsupportedOperationForModelException(
          "%s keeps a recurrent state and cannot forget a part of a sequence"
              .formatted(owner.model().description()));
    }
    owner.requireFixedScaling();
  }

  /** Returns how many cells beside those of the session a policy needs while it looks. */
  static int spareCells(EvictionPolicy policy) {
    return switch (policy.needs().observation()) {
      case Observation.Window window -> window.draft();
      case Observation.Repeat repeat -> repeat.chunk();
      case Observation.None _, Observation.Accumulated _ -> 0;
    };
  }

  /** Begins to add up the attention of an empty session, for policies that look at all of it. */
  void observeFromStart() {
    if (cells.held().size() > 0) {
      throw new IllegalStateException(
          "the session holds %,d tokens whose attention was not observed; clear() it first"
              .formatted(cells.held().size()));
    }
    NativeAttention.begin(context, Watch.of(cells.sequence()));
    owner.observed(cells);
  }

  /**
   * Evicts.
   *
   * @throws KvCacheFullException if the policy drafts or repeats and no cell is free for it
   * @throws CallbackException if the policy threw
   * @throws UnsupportedOperationForModelException if attention cannot be observed here
   */
  EvictionReport evict(EvictionPolicy policy, EvictionOptions options, Operation operation) {
    requireEvictable(owner);
    long start = System.nanoTime();
    int n = cells.held().size();
    int budget = options.budgetOf(n);
    if (budget >= n) {
      return report(policy, n, List.of(), 0, Optional.empty(), start);
    }
    EvictionNeeds needs = policy.needs();
    HeldView view = new HeldView(owner, context, cells, needs);
    int readAgain = observe(needs, options, view, operation);
    float[] scores = score(policy, view);
    BitSet keep = EvictionSelection.select(view, scores, policy.spans(), options);
    List<TokenRange> dropped = new ArrayList<>();
    for (int from = keep.nextClearBit(0); from < n; from = keep.nextClearBit(from)) {
      int next = keep.nextSetBit(from);
      int to = next < 0 ? n : next;
      dropped.add(new TokenRange(from, to));
      from = to;
    }
    cells.retain(keep);
    Optional<Compaction> compaction =
        options.compact() && compactionPays()
            ? Optional.of(owner.compactCells())
            : Optional.empty();
    return report(policy, n, dropped, readAgain, compaction, start);
  }

  /**
   * Tells whether attention would run over so many fewer cells that moving them is worth it. Not
   * while attention is added up by cell, which moving them would end.
   */
  private boolean compactionPays() {
    if (owner.observes()) {
      return false;
    }
    NativeCells.Usage usage = NativeCells.usage(context, cells.sequence());
    int now = padded(usage.extent());
    return now - padded(usage.used()) >= Math.max(PADDING, now / 4);
  }

  /** Attention runs over a multiple of so many cells. */
  private static int padded(int count) {
    return (count + PADDING - 1) / PADDING * PADDING;
  }

  /**
   * Makes room in a session that may hold no more: cuts it to its options' budget, of which a share
   * is one of the limit, and to fewer tokens than the limit in any case.
   *
   * @param limit tokens that the session may hold; leave {@link #spareCells} of the context's free
   */
  EvictionReport makeRoom(
      int limit, EvictionPolicy policy, EvictionOptions options, Operation operation) {
    int budget = Math.min(options.budgetOf(limit), limit - 1);
    return evict(policy, options.withBudget(new EvictionOptions.Budget.Tokens(budget)), operation);
  }

  private EvictionReport report(
      EvictionPolicy policy,
      int before,
      List<TokenRange> dropped,
      int readAgain,
      Optional<Compaction> compaction,
      long start) {
    int gone = dropped.stream().mapToInt(TokenRange::size).sum();
    return new EvictionReport(
        policy.name(),
        before,
        before - gone,
        dropped,
        gone * owner.kvPlan().map(KvPlan::bytesPerToken).orElse(0L),
        readAgain,
        compaction,
        Duration.ofNanos(System.nanoTime() - start));
  }

  private static float[] score(EvictionPolicy policy, HeldView view) {
    try {
      return policy.score(view);
    } catch (RuntimeException | Error e) {
      throw new CallbackException(
          "the eviction policy %s threw; nothing was dropped".formatted(policy.name()), e);
    }
  }

  // ---- observation ------------------------------------------------------------------------------

  /** Observes what is asked for; returns how many tokens were decoded for it. */
  private int observe(
      EvictionNeeds needs, EvictionOptions options, HeldView view, Operation operation) {
    cells.readTo(cells.held().size(), operation);
    return switch (needs.observation()) {
      case Observation.None _ -> 0;
      case Observation.Accumulated _ -> accumulated(needs, view, operation);
      case Observation.Window window ->
          window.draft() > 0
              ? draft(window, needs, view, operation)
              : window(window, needs, options, view, operation);
      case Observation.Repeat repeat -> repeat(repeat, needs, view, operation);
    };
  }

  private Watch watch(EvictionNeeds needs, int firstPosition) {
    Watch watch = Watch.of(cells.sequence()).from(firstPosition);
    if (needs.heads()) {
      watch = watch.withHeads();
    }
    return needs.queryTokens() > 0 ? watch.withQueries(needs.queryTokens()) : watch;
  }

  /** Begins to observe the tokens from an index on. */
  private void begin(EvictionNeeds needs, int first) {
    owner.notObserved();
    NativeAttention.begin(context, watch(needs, cells.held().position(first)));
  }

  private int accumulated(EvictionNeeds needs, HeldView view, Operation operation) {
    if (owner.observes(cells) && !needs.heads() && needs.queryTokens() == 0) {
      view.observed();
      return 0;
    }
    if (!cells.held().isWhole()) {
      throw new IllegalStateException(
          "the policy wants all attention since the start, which was not observed, and the text cannot be read again because a part of it was dropped; call observeAttention() on the empty session");
    }
    begin(needs, 0);
    try {
      cells.unread(0);
      cells.readTo(cells.held().size(), operation);
      view.observed();
    } finally {
      NativeAttention.end(context);
    }
    return cells.held().size();
  }

  private int window(
      Observation.Window window,
      EvictionNeeds needs,
      EvictionOptions options,
      HeldView view,
      Operation operation) {
    int n = cells.held().size();
    int tail = contiguousTail();
    int tokens = Math.min(tail, options.questionTokens().orElse(window.tokens()));
    int before = Math.min(tail - tokens, window.before());
    cells.unread(n - tokens - before);
    begin(needs, n - tokens - before);
    try {
      if (before > 0) {
        cells.readTo(n - tokens, operation);
        view.observedBefore(n - tokens);
        NativeAttention.reset(context);
      }
      cells.readTo(n, operation);
      view.observed();
    } finally {
      NativeAttention.end(context);
    }
    return tokens + before;
  }

  /** Returns how many tokens at the end stand behind another one without a gap. */
  private int contiguousTail() {
    HeldTokens held = cells.held();
    int first = held.size() - 1;
    while (first > 0 && held.position(first) == held.position(first - 1) + 1) {
      first--;
    }
    // The first token of a run behind a gap could not be put back to its place.
    return held.size() - first - (held.position(first) == 0 ? 0 : 1);
  }

  private int draft(
      Observation.Window window, EvictionNeeds needs, HeldView view, Operation operation) {
    int n = cells.held().size();
    int most = Math.min(window.draft(), requireFree(n));
    cells.computeLogits(operation);
    begin(needs, n);
    try {
      int drafted = 0;
      int token = mostLikely();
      while (drafted < most && !owner.model().tokenizer().isEndOfGeneration(token)) {
        cells.feed(new int[] {token}, 0, 1, operation, (done, total) -> {});
        drafted++;
        token = mostLikely();
      }
      cells.cutTo(n);
      view.observed();
      return drafted;
    } finally {
      forgetFrom(n);
    }
  }

  /** Ends the observation and takes back what was read for it. */
  private void forgetFrom(int size) {
    try {
      NativeAttention.end(context);
    } finally {
      cells.cutTo(size);
    }
  }

  private int mostLikely() {
    int size = owner.model().vocabularySize();
    MemorySegment logits = context.logits(-1, size);
    int best = 0;
    for (int i = 1; i < size; i++) {
      if (logits.getAtIndex(ValueLayout.JAVA_FLOAT, i)
          > logits.getAtIndex(ValueLayout.JAVA_FLOAT, best)) {
        best = i;
      }
    }
    return best;
  }

  private int repeat(
      Observation.Repeat repeat, EvictionNeeds needs, HeldView view, Operation operation) {
    int n = cells.held().size();
    int chunk = Math.min(repeat.chunk(), requireFree(n));
    int[] ids = cells.held().ids();
    begin(needs, n);
    try {
      for (int from = 0; from < n; from += chunk) {
        int count = Math.min(chunk, n - from);
        cells.feed(ids, from, count, operation, (done, total) -> {});
        cells.cutTo(n);
      }
      view.observed();
      return n;
    } finally {
      forgetFrom(n);
    }
  }

  private int requireFree(int held) {
    int free = context.sequenceTokens() - held;
    if (free < 1) {
      throw new KvCacheFullException(
          "the policy reads more tokens to see what is attended to, and all %,d cells are in use; evict earlier, or choose a policy that does not"
              .formatted(held));
    }
    return free;
  }
}
