package dev.gatun;

import dev.gatun.error.AlreadyClosedException;
import dev.gatun.error.CallbackException;
import dev.gatun.error.KvCacheFullException;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.error.StateFormatException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.internal.NativeContext;
import dev.gatun.internal.NativeMemory;
import dev.gatun.kv.EvictionOptions;
import dev.gatun.kv.EvictionPolicy;
import dev.gatun.kv.EvictionReport;
import dev.gatun.kv.StateCheckpoint;
import dev.gatun.kv.StateContent;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.time.Instant;
import java.util.BitSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * One sequence of tokens in a context: append, generate, cut back, fork.
 *
 * <p>A call that fails or is cancelled leaves the session with what it held before; what an {@link
 * dev.gatun.kv.OverflowPolicy} has dropped by then stays dropped, and what it made room for stays
 * read. A model with a recurrent state cannot be cut back unless it keeps checkpoints; without them
 * its session is then empty, and the message says so.
 *
 * <p>Lifetime: it takes one of the context's sequences until it is closed.
 */
@ThreadConfined("the thread that drives the context")
public final class LlamaSession implements AutoCloseable {
  private static final PrefillProgress QUIET = (done, total) -> {};

  private final LlamaContext owner;
  private final NativeContext context;
  private final SessionOptions options;
  private final SessionCells cells;
  private final Overflow overflow;
  private final Evictor evictor;
  private volatile boolean closed;
  private final AtomicReference<Generation> active = new AtomicReference<>();
  private volatile @Nullable Operation running;

  LlamaSession(LlamaContext owner, NativeContext context, int sequence, SessionOptions options) {
    this.owner = owner;
    this.context = context;
    this.options = options;
    this.cells = new SessionCells(owner, context, sequence, options.checkpoints(), () -> closed);
    this.evictor = new Evictor(owner, context, cells);
    this.overflow = new Overflow(owner, cells, evictor, options);
  }

  /** Returns the context. */
  public LlamaContext context() {
    return owner;
  }

  /** Returns the options it was made with. */
  public SessionOptions options() {
    return options;
  }

  SessionCells cells() {
    return cells;
  }

  /** Returns the number of tokens that the session holds; each takes a cell, once it was read. */
  public int size() {
    return cells.held().size();
  }

  /**
   * Returns the position of the next token. It is {@link #size()}, but for a session that dropped
   * tokens without moving the others.
   */
  public int position() {
    return cells.held().next();
  }

  /** Returns how many more tokens fit before something has to be dropped. */
  public int remaining() {
    return overflow.limit() - size();
  }

  /** Returns a copy of the tokens that the session holds. */
  public int[] tokens() {
    return cells.held().ids();
  }

  /** Returns the positions of the tokens that the session holds, ascending. */
  public int[] positions() {
    return cells.held().positions();
  }

  /** Returns how many tokens the overflow policy has dropped since the session was empty. */
  public long droppedTokens() {
    return overflow.droppedTokens();
  }

  /**
   * Appends a text. Special tokens in it are recognised; a begin-of-sequence token is put before it
   * when the session is empty and the model wants one.
   *
   * @param text any text
   * @throws KvCacheFullException if it does not fit
   */
  public void append(String text) {
    append(encode(text));
  }

  /**
   * Appends tokens and computes the logits of the last one.
   *
   * @param ids token ids
   * @throws KvCacheFullException if they do not fit
   * @throws IndexOutOfBoundsException if an id is not in the vocabulary
   */
  public void append(int... ids) {
    append(ids, Cancellation.never(), QUIET);
  }

  /**
   * Appends tokens and computes the logits of the last one.
   *
   * @param ids token ids
   * @param cancellation ends it, also inside a batch
   * @param progress called after each batch
   * @throws OperationCancelledException if it was cancelled; the session holds what it held before
   * @throws KvCacheFullException if they do not fit
   * @throws IndexOutOfBoundsException if an id is not in the vocabulary
   */
  public void append(int[] ids, Cancellation cancellation, PrefillProgress progress) {
    Operation operation = newOperation(cancellation, Optional.empty());
    enter();
    try {
      requireIdle();
      run(operation, () -> feed(ids, operation, progress));
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Appends tokens and hands out the logits after each of them, in order: what measuring a text
   * needs.
   *
   * <p>At most 64 MiB of logits are computed at once, whatever the batch size. A scaling that
   * follows the length is that of the last token for all of them.
   *
   * @param ids token ids
   * @param cancellation ends it, also inside a batch
   * @param consumer called once for each token of {@code ids}
   * @throws OperationCancelledException if it was cancelled; the session holds what it held before
   * @throws CallbackException if the consumer threw; the session holds what it held before
   * @throws KvCacheFullException if they do not fit
   * @throws IndexOutOfBoundsException if an id is not in the vocabulary
   */
  public void evaluate(int[] ids, Cancellation cancellation, LogitsConsumer consumer) {
    Operation operation = newOperation(cancellation, Optional.empty());
    enter();
    try {
      requireIdle();
      run(operation, () -> feedAndShow(ids, operation, consumer));
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Starts a generation after what the session holds.
   *
   * @throws IllegalStateException if the session is empty or another generation of it is open
   * @throws dev.gatun.error.GrammarException if a grammar does not parse
   */
  public Generation generate(GenerationOptions options) {
    return generate(new int[0], options);
  }

  /**
   * Starts a generation after a text, which is appended as by {@link #append(String)} when the
   * first piece is asked for.
   *
   * @param prompt any text
   */
  public Generation generate(String prompt, GenerationOptions options) {
    return generate(encode(prompt), options);
  }

  /**
   * Starts a generation after tokens, which are appended when the first piece is asked for.
   * Cancellation and deadline hold inside that prefill too.
   *
   * @param prompt token ids
   */
  public Generation generate(int[] prompt, GenerationOptions options) {
    enter();
    try {
      requireIdle();
      if (size() + prompt.length == 0) {
        throw new IllegalStateException(
            "there is nothing to go on from: the session and the prompt are empty; append a text"
                + " first");
      }
      owner.requireVocabulary(prompt);
      if (overflow.fails() && prompt.length > 0) {
        overflow.makeRoom(prompt.length, newOperation(Cancellation.never(), Optional.empty()));
      }
      Generation generation = new Generation(this, prompt.clone(), options);
      active.set(generation);
      return generation;
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Returns the logits after the last token, in place.
   *
   * @return float32, {@code [vocabularySize]}, read-only; valid until the next decode on the
   *     context
   * @throws IllegalStateException if the session is empty
   */
  public MemorySegment logits() {
    enter();
    try {
      requireIdle();
      Operation operation = newOperation(Cancellation.never(), Optional.empty());
      run(operation, () -> cells.computeLogits(operation));
      return context.logits(-1, owner.model().vocabularySize());
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Cuts the session back. A model that cannot be cut back returns to the last checkpoint before
   * that point; the tokens from there on are read again with the next call.
   *
   * @param count number of tokens that stay, 0 to {@link #size()}
   * @throws UnsupportedOperationForModelException if the model cannot forget a part of a sequence
   *     (recurrent state) or no longer has the cells (sliding window); nothing is changed
   */
  public void truncate(int count) {
    if (count < 0) {
      throw new IndexOutOfBoundsException("the number of tokens must not be negative: " + count);
    }
    enter();
    try {
      requireIdle();
      if (count > size()) {
        throw new IndexOutOfBoundsException(
            "the session holds %d tokens and cannot be cut back to %d".formatted(size(), count));
      }
      cells.cutTo(count);
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Removes tokens from the middle and moves what follows back, so that the positions have no gap:
   * the context shift. The cached keys are turned to their new positions before the call returns,
   * under every position scaling; nothing is decoded again. What follows still carries what it
   * learned from the removed tokens. Cells that another session shares are copied first and stay as
   * they are for it.
   *
   * @param from first token to remove
   * @param to end of the tokens to remove, at most {@link #size()}
   * @throws UnsupportedOperationForModelException if the model or the type of the keys does not
   *     allow it; nothing is changed
   * @throws KvCacheFullException if there is no room to copy shared cells; nothing is changed
   */
  public void discard(int from, int to) {
    enter();
    try {
      requireIdle();
      Objects.checkFromToIndex(from, to, size());
      if (to == size()) {
        cells.cutTo(from);
      } else if (from < to) {
        cells.discard(from, to);
      }
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Puts tokens in the place of others, anywhere in the session. What follows is not read again:
   * its cells move by the difference, with their keys turned. It still carries what it learned from
   * the tokens that were there when it was read, and nothing of the inserted ones.
   *
   * @param at index of the first token to replace
   * @param removed how many tokens are taken out, 0 or more
   * @param inserted token ids that come in their place; they are read behind what is before them
   * @throws UnsupportedOperationForModelException if the model, the type of the keys or a scaling
   *     that follows the length does not allow it; nothing is changed
   * @throws KvCacheFullException if there is no room; the session holds what it held before
   */
  public void splice(int at, int removed, int... inserted) {
    enter();
    try {
      requireIdle();
      Objects.checkFromIndexSize(at, removed, size());
      owner.requireVocabulary(inserted);
      if (inserted.length - removed > remaining()) {
        throw new KvCacheFullException(
            "no room for %,d more tokens: the session holds %,d and has room for %,d more"
                .formatted(inserted.length - removed, size(), remaining()));
      }
      Operation operation = newOperation(Cancellation.never(), Optional.empty());
      run(operation, () -> cells.splice(at, removed, inserted, operation));
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Keeps only some of the tokens; their cells stay as they are, at their positions. What was read
   * after a dropped token still carries what it learned from it.
   *
   * @param keep bits of the tokens that stay, by their index in {@link #tokens()}
   * @throws UnsupportedOperationForModelException if the model keeps a recurrent state, or a
   *     scaling that follows the length would read the text again; nothing is changed
   */
  public void retain(BitSet keep) {
    enter();
    try {
      requireIdle();
      Evictor.requireEvictable(owner);
      cells.retain(keep);
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Cuts the session to a budget of tokens; the policy decides which ones stay. Their cells stay as
   * they are, at their positions; what was read after a dropped token still carries what it learned
   * from it. The cells are free for other tokens at once.
   *
   * <p>A policy that looks at a window of attention has the last tokens read again; one that looks
   * at all of it the whole text, unless {@link #observeAttention} was called; see {@link
   * EvictionReport#readAgain()}.
   *
   * @param policy decides
   * @param options how many tokens stay, and which ones in any case
   * @return what was dropped
   * @throws UnsupportedOperationForModelException if the model keeps a recurrent state, a scaling
   *     follows the length, or attention cannot be observed in this context and the policy needs
   *     it; nothing is changed
   * @throws KvCacheFullException if the policy reads more tokens to look at attention and no cell
   *     is free for them; nothing is changed
   * @throws CallbackException if the policy threw; nothing is changed
   * @throws IllegalArgumentException if what is always kept needs more than the budget; nothing is
   *     changed
   */
  public EvictionReport evict(EvictionPolicy policy, EvictionOptions options) {
    Operation operation = newOperation(Cancellation.never(), Optional.empty());
    enter();
    try {
      requireIdle();
      AtomicReference<EvictionReport> report = new AtomicReference<>();
      run(operation, () -> report.set(evictor.evict(policy, options, operation)));
      return report.get();
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Adds up from now on what every token attends to, for policies that look at all attention, such
   * as {@link dev.gatun.kv.H2o}. Reading is slower then. It ends with {@link #clear()}, with a
   * compaction, and when another policy observes attention in the same context.
   *
   * @throws IllegalStateException if the session is not empty
   * @throws UnsupportedOperationForModelException if attention cannot be observed in this context
   */
  public void observeAttention() {
    enter();
    try {
      requireIdle();
      evictor.observeFromStart();
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Keeps an earlier state of what the model cannot cut back, so that {@link #truncate} to this
   * point or a later one can return to it. {@link SessionOptions#checkpoints()} takes them by
   * itself and bounds them all. Does nothing where everything can be cut back.
   */
  public void checkpoint() {
    enter();
    try {
      requireIdle();
      cells.checkpoint();
    } finally {
      context.guard().exit();
    }
  }

  /** Returns after how many tokens there is a checkpoint, ascending. */
  public List<Integer> checkpoints() {
    return cells.checkpoints().list().stream().map(StateCheckpoint::tokens).toList();
  }

  /**
   * Returns how many of the held tokens are in the cache; those behind them are read with the next
   * call that needs logits. It is {@link #size()} or one less, but after a cut that returned to a
   * checkpoint.
   */
  public int readTokens() {
    return cells.decoded();
  }

  /**
   * Copies the session: its tokens, their cells and its checkpoints. {@link SessionState#write}
   * puts the copy into a file. Where no other sequence shares the pool, a sliding window's cells
   * are then put down anew as {@link #restore} puts them, so that this session and a restored one
   * go on bit for bit alike.
   *
   * @throws UnsupportedOperationForModelException if the model's memory cannot be copied
   */
  public SessionState save() {
    enter();
    try {
      requireIdle();
      HeldTokens held = cells.held();
      MemorySegment saved =
          cells.decoded() == 0
              ? MemorySegment.NULL
              : NativeMemory.save(
                  context, cells.sequence(), NativeMemory.Part.WHOLE, Arena.ofAuto());
      StateContent content =
          new StateContent(
              owner.model().file().fingerprint(),
              owner.model().metadata().name().orElse(owner.model().description()),
              owner.contextTokens(),
              StateIdentity.settings(owner),
              held.ids(),
              held.positions(),
              cells.decoded(),
              saved,
              cells.checkpoints().list(),
              "",
              Instant.now());
      SessionState.Reading reading =
          new SessionState.Reading(owner.reading(), cells.plain(), cells.exact());
      cells.settleWindow();
      return SessionState.inMemory(content, owner.layout(), reading);
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Puts back what a session held when it was saved, in place of what this one holds.
   *
   * @param state from a session of the same model under the same position scaling, types and layout
   *     of the cells
   * @throws StateFormatException if model or settings differ, or the state comes from a file that
   *     is damaged; nothing is changed
   * @throws KvCacheFullException if it is longer than this session can be; nothing is changed. Or
   *     if other sessions have taken the cells; this session is then empty
   */
  public void restore(SessionState state) {
    enter();
    try {
      requireIdle();
      if (state.size() > overflow.limit()) {
        throw new KvCacheFullException(
            "the state holds %,d tokens and this session at most %,d; raise contextTokens or the session's budget"
                .formatted(state.size(), overflow.limit()));
      }
      requireSame(state);
      state.requireSound(owner.layout(), owner::requireVocabulary);
      cells.restore(state);
      overflow.restart();
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Checks that a state is of this session's model and settings. Its cells are not read.
   *
   * @throws StateFormatException saying what differs
   */
  public void requireRestorable(SessionState state) {
    enter();
    try {
      requireSame(state);
    } finally {
      context.guard().exit();
    }
  }

  private void requireSame(SessionState state) {
    state.requireFor(owner.model().file().fingerprint(), StateIdentity.settings(owner));
  }

  /** Forgets everything. */
  public void clear() {
    enter();
    try {
      requireIdle();
      cells.forget();
      overflow.restart();
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Returns a new session that holds the same tokens. With {@link ContextOptions#unifiedKv()} the
   * cells are shared, not copied.
   *
   * @throws IllegalStateException if all sequences of the context are in use
   */
  public LlamaSession fork() {
    enter();
    try {
      requireIdle();
      LlamaSession copy = owner.openSession(options);
      copy.cells.shareFrom(cells);
      return copy;
    } finally {
      context.guard().exit();
    }
  }

  /** Tells whether this session or its context is closed. */
  public boolean isClosed() {
    return closed || owner.isClosed();
  }

  /**
   * Stops the session's running call, waits for it and frees the cells. Idempotent; from any
   * thread.
   *
   * @throws IllegalStateException if it is called from inside a callback of the context
   */
  @Override
  public void close() {
    context.guard().requireOutside("closed");
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    Operation operation = running;
    if (operation != null) {
      operation.cancel();
    }
    if (context.guard().enterWaiting()) {
      try {
        NativeMemory.removeAll(context, cells.sequence());
        if (owner.observes(cells)) {
          owner.notObserved();
        }
        owner.closed(this, cells.sequence());
      } finally {
        context.guard().exit();
      }
    }
    closeGeneration();
  }

  /** Lets go of what the session holds after the context was closed. */
  void contextClosed() {
    closed = true;
    closeGeneration();
  }

  private void closeGeneration() {
    Generation generation = active.getAndSet(null);
    if (generation != null) {
      generation.close();
    }
  }

  /** Tells that a generation is over. */
  void ended(Generation generation) {
    active.compareAndSet(generation, null);
  }

  // ---- calls inside the guard -------------------------------------------------------------------

  /** Begins a call of this session. */
  void enter() {
    requireOpen();
    context.guard().enter();
    if (closed) {
      context.guard().exit();
      requireOpen();
    }
  }

  /** Ends a call of this session. */
  void exit() {
    context.guard().exit();
  }

  NativeContext nativeContext() {
    return context;
  }

  Operation newOperation(Cancellation cancellation, Optional<Duration> deadline) {
    return new Operation(context.interrupt(), cancellation, deadline);
  }

  /** Runs a step that the operation can stop. */
  void run(Operation operation, Runnable step) {
    running = operation;
    operation.begin();
    try {
      if (closed) {
        operation.cancel();
      }
      step.run();
    } finally {
      operation.end();
      running = null;
    }
  }

  /** Appends tokens and computes the logits of the last one; makes room by the policy. */
  void feed(int[] ids, Operation operation, PrefillProgress progress) {
    owner.requireVocabulary(ids);
    for (int done = 0; done < ids.length; ) {
      int count = overflow.makeRoom(ids.length - done, operation);
      PrefillProgress whole =
          progress == QUIET || count == ids.length ? progress : shifted(progress, done, ids.length);
      cells.feed(ids, done, count, operation, whole);
      done += count;
    }
  }

  private static PrefillProgress shifted(PrefillProgress progress, int before, int total) {
    return (done, _) -> progress.onProgress(before + done, total);
  }

  private void feedAndShow(int[] ids, Operation operation, LogitsConsumer consumer) {
    owner.requireVocabulary(ids);
    for (int done = 0; done < ids.length; ) {
      int count = overflow.makeRoom(ids.length - done, operation);
      cells.show(ids, done, count, overflow.nextIndex(), operation, consumer);
      done += count;
    }
  }

  /** Makes sure that the context holds the logits of the session's last token. */
  void computeLogits(Operation operation) {
    cells.computeLogits(operation);
  }

  /** Adds a token that will be decoded with the next call, if there is or can be made room. */
  void addPending(int token, Operation operation) {
    overflow.makeRoom(1, operation);
    cells.held().add(token);
  }

  /** Tells whether no token can be added. */
  boolean isFull() {
    return overflow.fails() && remaining() <= 0;
  }

  /** Forgets the cells and keeps the tokens, which are read again with the next call. */
  void dropCells() {
    cells.drop();
  }

  private void requireOpen() {
    if (owner.isClosed()) {
      throw new AlreadyClosedException("the context of this session is closed");
    }
    if (closed) {
      throw new AlreadyClosedException("the session is closed");
    }
  }

  /** Refuses while a generation is open. */
  void requireIdle() {
    if (active.get() != null) {
      throw new IllegalStateException(
          "a generation of this session is still open; read it to its end or close it first");
    }
  }

  private int[] encode(String text) {
    return owner.model().tokenizer().encode(text, size() == 0, true);
  }

  @Override
  public String toString() {
    return "LlamaSession[sequence " + cells.sequence() + ", " + size() + " tokens]";
  }
}
