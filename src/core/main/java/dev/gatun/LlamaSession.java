package dev.gatun;

import dev.gatun.error.AlreadyClosedException;
import dev.gatun.error.CallbackException;
import dev.gatun.error.DecodeException;
import dev.gatun.error.KvCacheFullException;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.error.StateFormatException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.internal.NativeContext;
import dev.gatun.internal.NativeMemory;
import dev.gatun.internal.Status;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Arrays;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * One sequence of tokens in a context: append, generate, cut back, fork.
 *
 * <p>A call that fails or is cancelled leaves the session with what it held before. A model with a
 * recurrent state cannot be cut back; its session is then empty, and the message says so.
 *
 * <p>Lifetime: it takes one of the context's sequences until it is closed.
 *
 * <p>One class although it is long: what the session holds, what the KV cache holds and what a
 * failed call takes back must stay equal, so the public calls and the steps inside the guard stand
 * together.
 */
@ThreadConfined("the thread that drives the context")
public final class LlamaSession implements AutoCloseable {
  private static final PrefillProgress QUIET = (done, total) -> {};
  private static final int INITIAL_TOKENS = 256;

  /** Most bytes of logits in one decode of {@link #evaluate}: the native side keeps the buffer. */
  private static final int EVALUATE_BYTES = 64 << 20;

  private final LlamaContext owner;
  private final NativeContext context;
  private final int sequence;
  private int[] tokens = new int[INITIAL_TOKENS];

  /** Tokens of the session; the last one may not be in the KV cache yet. */
  private int size;

  /** Tokens in the KV cache; the rest is decoded with the next call that needs logits. */
  private int decoded;

  /** Value of {@link LlamaContext#decodes()} when the logits of the last token were computed. */
  private long logitsAt = -1;

  private volatile boolean closed;
  private final AtomicReference<Generation> active = new AtomicReference<>();
  private volatile @Nullable Operation running;

  LlamaSession(LlamaContext owner, NativeContext context, int sequence) {
    this.owner = owner;
    this.context = context;
    this.sequence = sequence;
  }

  /** Returns the context. */
  public LlamaContext context() {
    return owner;
  }

  /** Returns the number of tokens that the session holds, which is the position of the next one. */
  public int position() {
    return size;
  }

  /** Returns how many more tokens fit. */
  public int remaining() {
    return context.sequenceTokens() - size;
  }

  /** Returns a copy of the tokens that the session holds. */
  public int[] tokens() {
    return Arrays.copyOf(tokens, size);
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
      if (size + prompt.length == 0) {
        throw new IllegalStateException(
            "there is nothing to go on from: the session and the prompt are empty; append a text"
                + " first");
      }
      requireRoom(prompt.length);
      requireVocabulary(prompt);
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
      run(operation, () -> computeLogits(operation));
      return context.logits(-1, owner.model().vocabularySize());
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Cuts the session back.
   *
   * @param position number of tokens that stay, 0 to {@link #position()}
   * @throws UnsupportedOperationForModelException if the model cannot forget a part of a sequence
   *     (recurrent state) or no longer has the cells (sliding window); nothing is changed
   */
  public void truncate(int position) {
    if (position < 0) {
      throw new IndexOutOfBoundsException("the position must not be negative, but is " + position);
    }
    enter();
    try {
      requireIdle();
      if (position > size) {
        throw new IndexOutOfBoundsException(
            "the session holds %d tokens and cannot be cut back to %d".formatted(size, position));
      }
      cutBack(position);
    } finally {
      context.guard().exit();
    }
  }

  private void cutBack(int position) {
    if (position < decoded) {
      requireCells(position);
      if (!remove(position)) {
        throw new UnsupportedOperationForModelException(
            "%s keeps a recurrent state and cannot forget a part of a sequence; clear() the session and append again"
                .formatted(owner.model().description()));
      }
      decoded = position;
      logitsAt = -1;
    }
    size = position;
  }

  /**
   * Removes tokens from the middle and moves what follows back, so that the positions have no gap:
   * the context shift. The cached keys are turned to their new positions before the call returns,
   * under every position scaling; nothing is decoded again. What follows still carries what it
   * learned from the removed tokens.
   *
   * @param from first token to remove
   * @param to end of the tokens to remove, at most {@link #position()}
   * @throws UnsupportedOperationForModelException if the model or the type of the keys does not
   *     allow it; nothing is changed
   * @throws IllegalStateException if another session shares the cells that would move, as after
   *     {@link #fork()} in a unified cache; nothing is changed
   */
  public void discard(int from, int to) {
    enter();
    try {
      requireIdle();
      Objects.checkFromToIndex(from, to, size);
      if (to == size) {
        cutBack(from);
      } else if (from < to) {
        owner.requireShiftable();
        Operation operation = newOperation(Cancellation.never(), Optional.empty());
        run(operation, () -> settle(operation));
        NativeMemory.discard(context, sequence, from, to);
        System.arraycopy(tokens, to, tokens, from, size - to);
        size -= to - from;
        decoded -= to - from;
        logitsAt = -1;
      }
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Copies the session: its tokens and their cells.
   *
   * @throws UnsupportedOperationForModelException if the model's memory cannot be copied
   */
  public SessionState save() {
    enter();
    try {
      requireIdle();
      if (decoded == 0) {
        return new SessionState(settings(), tokens(), 0, MemorySegment.NULL);
      }
      MemorySegment cells = NativeMemory.save(context, sequence, Arena.ofAuto());
      return new SessionState(settings(), tokens(), decoded, cells);
    } finally {
      context.guard().exit();
    }
  }

  /**
   * Puts back what a session held when it was saved, in place of what this one holds.
   *
   * @param state from a session of the same model under the same position scaling, types and layout
   *     of the cells
   * @throws StateFormatException if model or settings differ; nothing is changed
   * @throws KvCacheFullException if it is longer than this session can be; nothing is changed. Or
   *     if other sessions have taken the cells; this session is then empty
   */
  public void restore(SessionState state) {
    enter();
    try {
      requireIdle();
      if (!state.settings().equals(settings())) {
        throw new StateFormatException(
            "the state was saved under %s and this session runs under %s; restore it into a context of the same model and options"
                .formatted(state.settings(), settings()));
      }
      if (state.size() > context.sequenceTokens()) {
        throw new KvCacheFullException(
            "the state holds %,d tokens and this session at most %,d; raise contextTokens"
                .formatted(state.size(), context.sequenceTokens()));
      }
      dropCells(); // and keep the scaling, which is the state's
      size = 0;
      if (state.decoded() > 0) {
        NativeMemory.restore(context, sequence, state.cells());
      }
      tokens = Arrays.copyOf(state.tokens(), Math.max(state.size(), INITIAL_TOKENS));
      size = state.size();
      decoded = state.decoded();
    } finally {
      context.guard().exit();
    }
  }

  private SessionState.Settings settings() {
    ContextOptions options = owner.options();
    return new SessionState.Settings(
        owner.model().file().fingerprint(),
        owner.ropeScaling(),
        owner.hasFarKeys(),
        options.keyType(),
        options.valueType(),
        options.flashAttention(),
        options.unifiedKv() || options.maxSequences() == 1,
        options.fullSlidingWindow() || owner.model().slidingWindowTokens() == 0);
  }

  /** Forgets everything. */
  public void clear() {
    enter();
    try {
      requireIdle();
      forget();
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
      LlamaSession copy = owner.openSession();
      NativeMemory.share(context, sequence, copy.sequence);
      copy.tokens = Arrays.copyOf(tokens, Math.max(size, INITIAL_TOKENS));
      copy.size = size;
      copy.decoded = decoded;
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
        NativeMemory.removeAll(context, sequence);
        owner.closed(this, sequence);
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

  /** Appends tokens and computes the logits of the last one. */
  void feed(int[] ids, Operation operation, PrefillProgress progress) {
    if (place(ids)) {
      decodeTo(size + ids.length, operation, progress);
      size += ids.length;
    }
  }

  private void feedAndShow(int[] ids, Operation operation, LogitsConsumer consumer) {
    if (place(ids)) {
      showTo(size + ids.length, operation, consumer);
      size += ids.length;
    }
  }

  /** Puts tokens behind those of the session, to be decoded; tells whether there are any. */
  private boolean place(int[] ids) {
    requireVocabulary(ids);
    requireRoom(ids.length);
    if (size + ids.length > tokens.length) {
      tokens = Arrays.copyOf(tokens, Math.max(size + ids.length, tokens.length * 2));
    }
    System.arraycopy(ids, 0, tokens, size, ids.length);
    return ids.length > 0;
  }

  /** Makes sure that the context holds the logits of the session's last token. */
  void computeLogits(Operation operation) {
    if (size == 0) {
      throw new IllegalStateException("the session is empty; append a text first");
    }
    if (decoded == size && logitsAt == owner.decodes()) {
      return;
    }
    if (decoded == size) {
      // Another session decoded in between, or this one was restored, forked or moved: the last
      // token is decoded again.
      if (!remove(size - 1)) {
        throw new UnsupportedOperationForModelException(
            "the last token must be read again, because another session was used in between or this one was restored or forked, and the recurrent state of %s cannot step back; append at least one token"
                .formatted(owner.model().description()));
      }
      decoded = size - 1;
    }
    decodeTo(size, operation, QUIET);
  }

  /** Adds a token that will be decoded with the next call. */
  void addPending(int token) {
    if (size == tokens.length) {
      tokens = Arrays.copyOf(tokens, tokens.length * 2);
    }
    tokens[size++] = token;
  }

  boolean isFull() {
    return size >= context.sequenceTokens();
  }

  /** Brings the cells up to the tokens. */
  private void settle(Operation operation) {
    if (decoded < size) {
      decodeTo(size, operation, QUIET);
    }
  }

  /** Forgets the cells and keeps the tokens, which are read again with the next call. */
  void dropCells() {
    NativeMemory.removeAll(context, sequence);
    decoded = 0;
    logitsAt = -1;
  }

  private void decodeTo(int end, Operation operation, PrefillProgress progress) {
    followLength(end, operation);
    decodeRange(end, operation, progress);
  }

  /** Makes the scaling fit the length; what was read under another one is read again. */
  private void followLength(int end, Operation operation) {
    int had = decoded;
    if (owner.growScaling(end)) {
      long began = System.nanoTime();
      readAgain(had, operation);
      owner.scalingChanged(
          new ScalingChange(
              end, owner.ropeScaling(), had, Duration.ofNanos(System.nanoTime() - began)));
    }
  }

  /** Decodes what was dropped. When that fails the tokens stay, and the next call reads on. */
  private void readAgain(int end, Operation operation) {
    while (decoded < end) {
      decodeRange(Math.min(end, decoded + context.batchTokens()), operation, QUIET);
    }
  }

  private void decodeRange(int end, Operation operation, PrefillProgress progress) {
    int start = decoded;
    while (decoded < end) {
      int count = Math.min(context.batchTokens(), end - decoded);
      for (int i = 0; i < count; i++) {
        int position = decoded + i;
        context.put(i, tokens[position], position, sequence, position == end - 1);
      }
      int status = operation.shouldStop() ? NativeContext.STOPPED : owner.decode(count);
      if (status != Status.OK) {
        throw failure(status, start, end);
      }
      decoded += count;
      if (progress != QUIET) {
        report(progress, start, end);
      }
    }
    logitsAt = owner.decodes();
  }

  /** As {@link #decodeTo}, with the logits of every token from {@link #size} on. */
  private void showTo(int end, Operation operation, LogitsConsumer consumer) {
    followLength(end, operation);
    int start = decoded;
    int vocabulary = owner.model().vocabularySize();
    int most = Math.clamp(EVALUATE_BYTES / (4L * vocabulary), 1, context.batchTokens());
    while (decoded < end) {
      int count = Math.min(most, end - decoded);
      for (int i = 0; i < count; i++) {
        int position = decoded + i;
        context.put(i, tokens[position], position, sequence, position >= size);
      }
      int status = operation.shouldStop() ? NativeContext.STOPPED : owner.decode(count);
      if (status != Status.OK) {
        throw failure(status, start, end);
      }
      int first = decoded;
      decoded += count;
      try {
        for (int i = Math.max(0, size - first); i < count; i++) {
          consumer.accept(first + i, context.logits(i, vocabulary));
        }
      } catch (RuntimeException | Error e) {
        String lost = stepBackTo(start);
        throw new CallbackException("the consumer of the logits threw" + lost, e);
      }
    }
    logitsAt = owner.decodes();
  }

  private void report(PrefillProgress progress, int start, int end) {
    try {
      progress.onProgress(decoded - start, end - start);
    } catch (RuntimeException | Error e) {
      String lost = stepBackTo(start);
      throw new CallbackException("the prefill progress listener threw" + lost, e);
    }
  }

  private RuntimeException failure(int status, int start, int end) {
    String detail = status == Status.EXCEPTION ? ": " + context.error().message() : "";
    String lost = stepBackTo(start);
    if (status == NativeContext.STOPPED) {
      if (owner.isClosed()) {
        return new AlreadyClosedException("the context was closed during the call");
      }
      if (closed) {
        return new AlreadyClosedException("the session was closed during the call");
      }
      return new OperationCancelledException("the prefill was cancelled" + lost);
    }
    return switch (status) {
      case 1 ->
          new KvCacheFullException(
              "llama_decode returned 1: no room for %,d tokens (%,d of %,d cells used by this session); raise contextTokens, or close or truncate sessions%s"
                  .formatted(end - start, start, context.contextTokens(), lost));
      case -2, Status.OUT_OF_MEMORY ->
          new DecodeException(
              "llama_decode ran out of memory for %,d tokens; lower microBatchTokens or contextTokens%s"
                  .formatted(end - start, lost));
      default ->
          new DecodeException(
              "llama_decode returned %d for %,d tokens at position %,d%s%s"
                  .formatted(status, end - start, start, detail, lost));
    };
  }

  /** Takes back what was decoded from a position on; returns what to tell the user about it. */
  private String stepBackTo(int position) {
    logitsAt = -1;
    if (remove(position)) {
      decoded = position;
      return "";
    }
    forget();
    return "; the model keeps a recurrent state that cannot step back, so the session is now empty";
  }

  private boolean remove(int position) {
    return NativeMemory.removeFrom(context, sequence, position);
  }

  private void forget() {
    dropCells();
    size = 0;
    owner.restartScaling();
  }

  /** Refuses a cut that sliding-window layers no longer have the cells for. */
  private void requireCells(int position) {
    int window = owner.model().slidingWindowTokens();
    if (window == 0 || position == 0 || owner.options().fullSlidingWindow()) {
      return;
    }
    int smallest = NativeMemory.smallestPosition(context, sequence);
    if (smallest > Math.max(0, position - window)) {
      throw new UnsupportedOperationForModelException(
          "the sliding-window layers no longer hold the cells before position %,d (the oldest is %,d); clear() the session and append again, or make the context withFullSlidingWindow(true)"
              .formatted(position, smallest));
    }
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

  private void requireRoom(int count) {
    if (count > remaining()) {
      throw new KvCacheFullException(
          "no room for %,d tokens: the session holds %,d of %,d; raise contextTokens to at least %,d, or shorten the text"
              .formatted(count, size, context.sequenceTokens(), (long) size + count));
    }
  }

  private void requireVocabulary(int[] ids) {
    int vocabulary = owner.model().vocabularySize();
    for (int id : ids) {
      if (id < 0 || id >= vocabulary) {
        throw new IndexOutOfBoundsException(
            "token %d is not in the vocabulary of %d tokens".formatted(id, vocabulary));
      }
    }
  }

  private int[] encode(String text) {
    return owner.model().tokenizer().encode(text, size == 0, true);
  }

  @Override
  public String toString() {
    return "LlamaSession[sequence " + sequence + ", " + size + " tokens]";
  }
}
