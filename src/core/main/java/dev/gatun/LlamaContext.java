package dev.gatun;

import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.internal.ContextParameters;
import dev.gatun.internal.NativeAttention;
import dev.gatun.internal.NativeCells;
import dev.gatun.internal.NativeContext;
import dev.gatun.internal.NativeMemory;
import dev.gatun.kv.CellLayout;
import dev.gatun.kv.Compaction;
import dev.gatun.kv.KvLayout;
import dev.gatun.kv.KvPlan;
import dev.gatun.kv.KvSettings;
import dev.gatun.kv.SparseAttention;
import dev.gatun.rope.Dynamic;
import dev.gatun.rope.FactorTable;
import dev.gatun.rope.RopeScaling;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * KV cells and compute buffers for one or more sequences over one model.
 *
 * <p>Thread: one at a time drives a context and its sessions; it need not always be the same one. A
 * second thread that comes while a call runs gets a {@link WrongThreadException} at once; it never
 * waits and never corrupts anything. {@link #close()}, {@link Generation#cancel()} and {@link
 * Cancellation#cancel()} are for any thread.
 *
 * <p>Lifetime: it keeps the model's weights alive. Closing it stops a running decode, waits for it
 * and closes its sessions.
 */
@ThreadConfined("one driving thread at a time")
public final class LlamaContext implements AutoCloseable {
  private final LlamaModel model;
  private final ContextOptions options;
  private final NativeContext context;
  private final Optional<KvPlan> kvPlan;
  private final PositionScaling scaling;
  private final Optional<CellLayout> layout;
  private final List<ScalingChange> scalingChanges = new ArrayList<>();
  private final BitSet freeSequences = new BitSet();
  private final List<LlamaSession> sessions = new ArrayList<>();
  private final ContextAdapters adapters;
  private final AttentionKernel kernel;
  private Optional<PrefixCache> prefixCache = Optional.empty();
  private Reading reading;
  private long decodes;

  /**
   * What else than tokens and scaling decides what cells hold.
   *
   * @param adapters which adapters are applied
   * @param microBatchTokens decides how sums are rounded
   * @param sparseAttention which keys tokens met
   * @param reproducible in which order
   */
  private record Reading(
      Object adapters,
      int microBatchTokens,
      SparseAttention sparseAttention,
      boolean reproducible) {}

  private static final Object NO_ADAPTERS = new Object();

  private final int blockTokens;

  /** The session whose attention has been added up since it was empty. */
  private Optional<SessionCells> observed = Optional.empty();

  LlamaContext(LlamaModel model, ContextOptions options) {
    this.model = model;
    this.options = options;
    int contextTokens = options.contextTokens().orElse(Math.max(2, model.trainedContextTokens()));
    ContextChecks.requireUsable(model, options, contextTokens);
    KvBytes.requireWholeBlocks(model.metadata(), options);
    Optional<KvLayout> layout = KvLayout.of(model.metadata());
    KvSettings settings = options.kvSettings(contextTokens);
    KvBytes.requireRoom(model, layout, settings);
    this.kvPlan = layout.map(known -> known.plan(settings));
    this.scaling = PositionScaling.of(model, options, contextTokens);
    ContextChecks.requireScalable(options, scaling);
    this.context =
        new NativeContext(
            model.nativeModel(),
            new ContextParameters(
                contextTokens,
                options.batchTokens(),
                microBatchTokens(),
                options.maxSequences(),
                options.threads(),
                options.batchThreads(),
                options.polling(),
                options.keyType().ggmlType(),
                options.valueType().ggmlType(),
                options.flashAttention().nativeValue(),
                scaling.parameters(),
                // With one sequence it changes nothing but the time that llama_decode takes to
                // compare 256 x 256
                // possible sequences: 60 microseconds a token.
                options.unifiedKv() && options.maxSequences() > 1,
                options.offloadKv(),
                options.fullSlidingWindow()),
            "the context of " + model.file().path().getFileName());
    freeSequences.set(0, options.maxSequences());
    this.layout = StateIdentity.layout(this);
    reading = newReading(NO_ADAPTERS);
    blockTokens = newBlockTokens();
    adapters = new ContextAdapters(model, context);
    try {
      kernel = newKernel();
    } catch (RuntimeException e) {
      context.close();
      throw e;
    }
  }

  private AttentionKernel newKernel() {
    context.guard().enter();
    try {
      return AttentionKernel.of(model, options, context, microBatchTokens());
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Returns the most tokens to decode in one call. Of a sliding-window model it is one micro-batch:
   * llama.cpp v0.5.0 looks for the cells of all micro-batches of a call first ({@code
   * llama_kv_cache::prepare}), and those of a later one push out cells that an earlier one still
   * has to look at.
   */
  int tokensAtOnce() {
    int micro = microBatchTokens();
    int batch = context.batchTokens(); // at most the context
    return model.slidingWindowTokens() > 0 || batch < micro
        ? Math.min(micro, batch)
        : batch - batch % micro;
  }

  int microBatchTokens() {
    return Math.min(options.microBatchTokens(), options.batchTokens());
  }

  /**
   * The least number of tokens whose rows are computed as those of any larger micro batch: on the
   * processor attention goes by tiles of so many queries (ggml's {@code GGML_FA_TILE_Q}) and
   * matrices by fewer. Of other devices nothing is known, so that a whole micro batch is taken.
   */
  int blockTokens() {
    return blockTokens;
  }

  private int newBlockTokens() {
    int micro = microBatchTokens();
    boolean onHost = memory().stream().allMatch(MemoryUse::onHost);
    return onHost && micro % AttentionKernel.QUERY_TILE == 0 ? AttentionKernel.QUERY_TILE : micro;
  }

  private Reading newReading(Object adapters) {
    return new Reading(
        adapters, microBatchTokens(), options.sparseAttention(), options.reproducible());
  }

  /** Returns what is equal for contexts that read tokens of one model and scaling the same way. */
  Object reading() {
    return reading;
  }

  /**
   * Begins an empty sequence.
   *
   * @throws IllegalStateException if {@link ContextOptions#maxSequences()} sessions are open
   * @throws UnsupportedOperationForModelException if the model keeps no memory of a sequence, as
   *     embedding models
   */
  public LlamaSession newSession() {
    return newSession(SessionOptions.defaults());
  }

  /**
   * Begins an empty sequence.
   *
   * @param sessionOptions its budget of cells, and what happens when it is used up
   * @throws IllegalStateException if {@link ContextOptions#maxSequences()} sessions are open
   * @throws UnsupportedOperationForModelException if the model keeps no memory of a sequence, as
   *     embedding models, or the overflow policy does not work with model and context
   */
  public LlamaSession newSession(SessionOptions sessionOptions) {
    context.guard().enter();
    try {
      return openSession(sessionOptions);
    } finally {
      context.guard().exit();
    }
  }

  LlamaSession openSession(SessionOptions sessionOptions) {
    requireMemory();
    int sequence = freeSequences.nextSetBit(0);
    if (sequence < 0 && prefixCache.isPresent() && prefixCache.get().yieldSequence()) {
      sequence = freeSequences.nextSetBit(0);
    }
    if (sequence < 0) {
      throw new IllegalStateException(
          "all %d sequences of the context are in use; close a session or raise maxSequences"
              .formatted(options.maxSequences()));
    }
    LlamaSession session = new LlamaSession(this, context, sequence, sessionOptions);
    freeSequences.clear(sequence);
    sessions.add(session);
    return session;
  }

  /** Tells whether logits do not depend on which cells a session gets. */
  boolean meetsCellsInOrder() {
    boolean alone = !options.unifiedKv() || options.maxSequences() == 1 || model.isRecurrent();
    return alone
        || options.reproducible()
        || (scaling.hasFarKeys() && model.slidingWindowTokens() == 0);
  }

  private void requireMemory() {
    if (!context.hasMemory()) {
      throw new UnsupportedOperationForModelException(
          "%s keeps no memory of a sequence, so it cannot generate text; it is an embedding model"
              .formatted(model.description()));
    }
  }

  /** Gives a sequence back. Called inside the guard. */
  void closed(LlamaSession session, int sequence) {
    prefixCache.ifPresent(cache -> cache.letGo(session));
    sessions.remove(session);
    freeSequences.set(sequence);
  }

  /**
   * Makes a cache of what the sessions of this context read. There is one at a time.
   *
   * @throws IllegalStateException if the context has one; close it first
   * @throws UnsupportedOperationForModelException if the model keeps no memory of a sequence
   * @throws IllegalArgumentException if the cache is to be exact and cannot be in this context
   */
  public PrefixCache newPrefixCache(PrefixCacheOptions cacheOptions) {
    context.guard().enter();
    try {
      requireMemory();
      if (prefixCache.isPresent()) {
        throw new IllegalStateException(
            "the context has a prefix cache already; use it, or close it first");
      }
      if (cacheOptions.exact() && model.slidingWindowTokens() > 0) {
        throw new IllegalArgumentException(
            "the cells of a sliding window lie in another order after they were put back, which changes rounding, so that the prefix cache cannot be exact; make it withExact(false)");
      }
      if (cacheOptions.exact() && !meetsCellsInOrder()) {
        throw new IllegalArgumentException(
            "in a unified cache rounding depends on which cells a session gets, so that the prefix cache cannot be exact; make the context withReproducible(true) or withUnifiedKv(false), or the cache withExact(false)");
      }
      PrefixCache cache = new PrefixCache(this, context, cacheOptions);
      prefixCache = Optional.of(cache);
      return cache;
    } finally {
      context.guard().exit();
    }
  }

  /** Tells that the prefix cache is closed. Called inside the guard. */
  void closed(PrefixCache cache) {
    if (prefixCache.isPresent() && prefixCache.get() == cache) {
      prefixCache = Optional.empty();
    }
  }

  /** Takes a free sequence for the prefix cache; -1 when none is free. Called inside the guard. */
  int takeSequence() {
    int sequence = freeSequences.nextSetBit(0);
    if (sequence >= 0) {
      freeSequences.clear(sequence);
    }
    return sequence;
  }

  /** Gives back what {@link #takeSequence} gave, without a cell in it. Called inside the guard. */
  void returnSequence(int sequence) {
    freeSequences.set(sequence);
  }

  /** Makes the prefix cache give cells to a session; tells whether it gave any. */
  boolean yieldCells(int count) {
    return prefixCache.isPresent() && prefixCache.get().yieldCells(count);
  }

  void enter() {
    context.guard().enter();
  }

  void exit() {
    context.guard().exit();
  }

  /** Tells that cells are from now on made in another way: those there are no longer plain. */
  private void adapted() {
    reading = newReading(new Object());
    sessions.forEach(session -> session.cells().notPlainFrom(0));
    prefixCache.ifPresent(PrefixCache::forgetAll);
  }

  /** Returns the model. */
  public LlamaModel model() {
    return model;
  }

  /** Returns the options it was made with. */
  public ContextOptions options() {
    return options;
  }

  /** Returns the tokens that all sequences together can hold; the native side may round up. */
  public int contextTokens() {
    return context.contextTokens();
  }

  /** Returns the tokens that one sequence can hold. */
  public int sequenceTokens() {
    return context.sequenceTokens();
  }

  /**
   * Returns how many of the {@link #contextTokens()} KV cells are in use, by sessions or by the
   * prefix cache; one that several share counts once. Of a sliding-window model: of the layers
   * without a window.
   *
   * @throws UnsupportedOperationForModelException if the model keeps recurrent states only
   */
  public int usedCells() {
    context.guard().enter();
    try {
      int pools = options.unifiedKv() ? 1 : options.maxSequences();
      int used = 0;
      for (int sequence = 0; sequence < pools; sequence++) {
        used += NativeCells.usage(context, sequence).used();
      }
      return used;
    } finally {
      context.guard().exit();
    }
  }

  /** Returns what the context and its model take on each device, as the native side reports it. */
  public List<MemoryUse> memory() {
    context.guard().enter();
    try {
      return NativeMemory.breakdown(context).stream()
          .map(
              e ->
                  new MemoryUse(
                      e.device(),
                      e.bufferType(),
                      e.onHost(),
                      e.modelBytes(),
                      e.contextBytes(),
                      e.computeBytes()))
          .toList();
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Returns the predicted bytes and cells of the context's memory, and of a session in it: what a
   * request is admitted by. Any thread; asks nobody.
   *
   * @return empty for an architecture whose memory is not predicted
   */
  public Optional<KvPlan> kvPlan() {
    return kvPlan;
  }

  /**
   * Applies LoRA adapters, in place of those applied before.
   *
   * @param adapters adapters of this context's model, with their scales; empty removes all
   * @throws IllegalArgumentException if an adapter belongs to another model
   */
  public void setLoras(Map<LoraAdapter, Float> adapters) {
    this.adapters.requireOwn(adapters);
    context.guard().enter();
    try {
      this.adapters.setLoras(adapters);
      adapted();
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Applies a control vector, in place of the one applied before.
   *
   * @throws IllegalArgumentException if its width is not the model's
   */
  public void setControlVector(ControlVector vector) {
    adapters.requireFitting(vector);
    context.guard().enter();
    try {
      adapters.setControlVector(vector);
      adapted();
    } finally {
      context.guard().exit();
    }
  }

  /** Removes the control vector. */
  public void clearControlVector() {
    context.guard().enter();
    try {
      adapters.clearControlVector();
      adapted();
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Moves the used cells to the front of the cache, so that attention runs over used cells only and
   * the memory behind them goes back to the system. It pays when a good part of a long context was
   * evicted, truncated or closed while later cells stayed: attention runs up to the last used cell,
   * empty ones included. It costs one copy of the cells that move.
   *
   * <p>Sessions keep their tokens, positions and shared cells. Flash attention adds values up in
   * half precision in the order of the cells, which stays; logits differ by that rounding at most.
   *
   * @throws UnsupportedOperationForModelException if the model has no such cells (recurrent state),
   *     or positions of several dimensions
   */
  public Compaction compact() {
    context.guard().enter();
    try {
      return compactCells();
    } finally {
      context.guard().exit();
    }
  }

  /** As {@link #compact}, inside the guard. What was observed of attention is gone. */
  Compaction compactCells() {
    notObserved();
    NativeCells.Compaction done = NativeCells.compact(context);
    return new Compaction(
        done.moved(), done.extentBefore(), done.extentAfter(), done.releasedBytes());
  }

  /** Returns the position scaling that runs now, with every number chosen. */
  public RopeScaling ropeScaling() {
    return scaling.current();
  }

  /**
   * Puts another table of frequency factors in place of the one that the context was made with, so
   * that many can be tried at no cost beside the reading. The sessions keep their tokens and lose
   * their cells; the next call reads the tokens again.
   *
   * @param table as many factors as before
   * @throws IllegalStateException if the context was made with another scaling than a {@link
   *     FactorTable}, or a generation is open
   * @throws IllegalArgumentException if the number of factors is another
   */
  public void setFactorTable(FactorTable table) {
    context.guard().enter();
    try {
      sessions.forEach(LlamaSession::requireIdle);
      change(scaling.replacement(table));
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Returns how a {@link Dynamic} scaling has followed the text so far, oldest first; empty for
   * every other scaling.
   */
  public List<ScalingChange> scalingChanges() {
    return List.copyOf(scalingChanges);
  }

  /** Tells whether the cells hold keys as a far band sees them. */
  boolean hasFarKeys() {
    return scaling.hasFarKeys();
  }

  /**
   * Makes the scaling fit a text of this many tokens. Called inside the guard.
   *
   * @return whether it changed; then every cell is gone and the text has to be read again
   */
  boolean growScaling(int tokens) {
    Optional<PositionScaling.Step> step = scaling.growth(tokens);
    if (step.isEmpty()) {
      return false;
    }
    change(step.get());
    return true;
  }

  private void change(PositionScaling.Step step) {
    prefixCache.ifPresent(PrefixCache::forgetAll);
    for (LlamaSession session : sessions) {
      session.dropCells();
    }
    context.setRope(step.hook());
    scaling.taken(step);
  }

  /** Makes the scaling that of an empty text. Called inside the guard, without a cell in use. */
  void restartScaling() {
    Optional<PositionScaling.Step> step = scaling.restart();
    if (step.isPresent()) {
      prefixCache.ifPresent(PrefixCache::forgetAll);
      context.setRope(step.get().hook());
      scaling.taken(step.get());
    }
  }

  /** Tells what a change of the scaling has cost. */
  void scalingChanged(ScalingChange change) {
    scalingChanges.add(change);
  }

  /**
   * Refuses to move positions where llama.cpp would abort or corrupt the cells. Called inside the
   * guard.
   */
  void requireShiftable() {
    ContextChecks.requireShiftable(model, options, NativeMemory.canShift(context));
  }

  /** Returns which adapters run, for the comparison of saved states; empty when none does. */
  Optional<String> adaptersText() {
    return adapters.text();
  }

  /**
   * Tells whether the model's memory loses what a sequence has left behind, so that cutting back
   * needs a checkpoint.
   */
  boolean needsCheckpoints() {
    return layout.isPresent()
        && layout.get().hasPartial()
        && (layout.get().recurrent() || !options.fullSlidingWindow());
  }

  /** Returns how native code lays out saved cells; empty when Gatun does not know it. */
  Optional<CellLayout> layout() {
    return layout;
  }

  /** Tells whether a sequence of the context always finds room for all its tokens. */
  boolean hasOwnPools() {
    return options.maxSequences() == 1 || !options.unifiedKv();
  }

  /** A session's attention is added up from now on. */
  void observed(SessionCells cells) {
    observed = Optional.of(cells);
  }

  /** Ends the adding up, if any. */
  void notObserved() {
    if (observed.isPresent()) {
      NativeAttention.end(context);
      observed = Optional.empty();
    }
  }

  /** Tells whether a session's attention has been added up since it was empty. */
  boolean observes(SessionCells cells) {
    return observed.isPresent() && observed.get() == cells;
  }

  /** Tells whether any session's attention is added up. */
  boolean observes() {
    return observed.isPresent();
  }

  /** Tells whether the scaling follows the length of the text. */
  boolean scalingFollowsLength() {
    return options.ropeScaling() instanceof Dynamic;
  }

  /** Refuses what a scaling that follows the length could not read again. */
  void requireFixedScaling() {
    if (scalingFollowsLength()) {
      throw new UnsupportedOperationForModelException(
          "a scaling that follows the length of the text reads it again, which cannot be done when a part was dropped; choose a fixed scaling");
    }
  }

  /** Refuses token ids that the model does not have. */
  void requireVocabulary(int[] ids) {
    int vocabulary = model.vocabularySize();
    for (int id : ids) {
      if (id < 0 || id >= vocabulary) {
        throw new IndexOutOfBoundsException(
            "token %d is not in the vocabulary of %d tokens".formatted(id, vocabulary));
      }
    }
  }

  /** Counts the decodes, so that a session knows whether the logits are still its own. */
  long decodes() {
    return decodes;
  }

  /** Returns the kernel of attention on plain positions. */
  AttentionKernel kernel() {
    return kernel;
  }

  /**
   * Decodes the first entries of the batch; when there are too few cells, the cache gives some.
   *
   * @param behind tokens of the sequence that are before them
   */
  int decode(int count, int behind) {
    decodes++;
    kernel.choose(count, behind);
    int status = context.decode(count);
    while (status == NativeContext.NO_ROOM && yieldCells(count)) {
      status = context.decode(count);
    }
    return status;
  }

  /** Tells whether {@link #close()} was called. */
  public boolean isClosed() {
    return context.guard().isClosed();
  }

  /**
   * Stops the running call, waits for it, closes the sessions and frees everything. Idempotent;
   * from any thread.
   *
   * @throws IllegalStateException if it is called from inside a callback of this context
   */
  @Override
  public void close() {
    if (context.close()) {
      // Nobody can be inside any more: the sessions only let go of what they hold.
      for (LlamaSession session : List.copyOf(sessions)) {
        session.contextClosed();
      }
      sessions.clear();
      prefixCache.ifPresent(PrefixCache::contextClosed);
      adapters.letGo();
    }
  }

  @Override
  public String toString() {
    return "LlamaContext[" + model + ", " + contextTokens() + " tokens]";
  }
}
