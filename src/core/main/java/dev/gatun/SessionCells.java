package dev.gatun;

import dev.gatun.error.AlreadyClosedException;
import dev.gatun.error.CallbackException;
import dev.gatun.error.DecodeException;
import dev.gatun.error.KvCacheFullException;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.error.StateFormatException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.internal.NativeCells;
import dev.gatun.internal.NativeContext;
import dev.gatun.internal.NativeMemory;
import dev.gatun.internal.NativeMemory.Part;
import dev.gatun.internal.Status;
import dev.gatun.kv.CheckpointOptions;
import dev.gatun.kv.StateCheckpoint;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.time.Duration;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/**
 * The tokens of one sequence and their cells: what the session holds, what the KV cache holds and
 * what a failed call takes back stay equal here.
 *
 * <p>The first {@link #decoded()} of the held tokens are in the cache; the rest is read with the
 * next call that needs logits. Every method is called inside the context's guard.
 */
final class SessionCells {
  private static final PrefillProgress QUIET = (done, total) -> {};

  /** Most bytes of logits in one decode of {@link #show}: the native side keeps the buffer. */
  private static final int SHOW_BYTES = 64 << 20;

  private final LlamaContext owner;
  private final NativeContext context;
  private final int sequence;
  private final BooleanSupplier closed;
  private final int microBatch;
  private final int block;
  private final HeldTokens held = new HeldTokens();
  private final Checkpoints checkpoints;
  private final Waypoints waypoints = new Waypoints();
  private int decoded;

  /** The first cells that are as a plain reading of the tokens leaves them; at most decoded. */
  private int plain;

  /**
   * Of these, those whose bits do not depend on where a text was divided; a multiple of {@link
   * LlamaContext#blockTokens()}.
   */
  private int exact;

  /** Value of {@link LlamaContext#decodes()} when the logits of the last token were computed. */
  private long logitsAt = -1;

  SessionCells(
      LlamaContext owner,
      NativeContext context,
      int sequence,
      CheckpointOptions checkpoints,
      BooleanSupplier closed) {
    this.checkpoints = new Checkpoints(checkpoints, owner.needsCheckpoints());
    this.owner = owner;
    this.context = context;
    this.sequence = sequence;
    this.closed = closed;
    this.microBatch = owner.microBatchTokens();
    this.block = owner.blockTokens();
  }

  HeldTokens held() {
    return held;
  }

  int decoded() {
    return decoded;
  }

  int sequence() {
    return sequence;
  }

  Checkpoints checkpoints() {
    return checkpoints;
  }

  /** Where a prefix cache wants to remember what is read from now on. */
  Waypoints waypoints() {
    return waypoints;
  }

  // ---- reading ----------------------------------------------------------------------------------

  /** Appends tokens and computes the logits of the last one. */
  void feed(int[] ids, int offset, int count, Operation operation, PrefillProgress progress) {
    if (count > 0) {
      held.stage(ids, offset, count);
      decodeTo(held.size() + count, operation, progress);
      held.accept(count);
    }
  }

  /** As {@link #feed}, with the logits after each token. */
  void show(
      int[] ids, int offset, int count, int first, Operation operation, LogitsConsumer consumer) {
    if (count > 0) {
      held.stage(ids, offset, count);
      showTo(held.size() + count, first, operation, consumer);
      held.accept(count);
    }
  }

  /** Makes sure that the context holds the logits of the last token. */
  void computeLogits(Operation operation) {
    int size = held.size();
    if (size == 0) {
      throw new IllegalStateException("the session is empty; append a text first");
    }
    if (decoded == size && logitsAt == owner.decodes()) {
      return;
    }
    if (decoded == size) {
      // Another session decoded in between, or this one was restored, forked or moved: the last
      // token is decoded again.
      if (!goBackTo(size - 1)) {
        if (!owner.model().isRecurrent() && !owner.model().isHybrid()) {
          drop(); // a restored window has no cell to spare: the text is read again
          decodeTo(size, operation, QUIET);
          return;
        }
        throw new UnsupportedOperationForModelException(
            "the last token must be read again, because another session was used in between or this one was restored or forked, and the recurrent state of %s cannot step back; append at least one token"
                .formatted(owner.model().description()));
      }
      held.closeGapsFrom(decoded); // a batch has to follow the last cell at once
    }
    decodeTo(size, operation, QUIET);
  }

  /** Takes tokens out of the cache and keeps them, to be read again. */
  void unread(int index) {
    if (index < decoded) {
      if (!goBackTo(index)) {
        throw cannotGoBackTo(index);
      }
      logitsAt = -1;
    }
  }

  /** Reads the tokens that are held but not in the cache, up to an index. */
  void readTo(int end, Operation operation) {
    if (decoded < end) {
      decodeTo(end, operation, QUIET);
    }
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
      decodeRange(Math.min(end, decoded + owner.tokensAtOnce()), operation, QUIET);
    }
  }

  private void decodeRange(int end, Operation operation, PrefillProgress progress) {
    int start = decoded;
    checkpoints.offer(start, start, end, this::takeCheckpoint);
    while (decoded < end) {
      int most = waypoints.step(decoded, Math.min(tokensAtOnce(), end - decoded));
      int count = owner.kernel().step(checkpoints.step(decoded, end, most), decoded);
      for (int i = 0; i < count; i++) {
        int index = decoded + i;
        context.put(i, held.id(index), held.stagedPosition(index), sequence, index == end - 1);
      }
      int status = operation.shouldStop() ? NativeContext.STOPPED : owner.decode(count, decoded);
      if (status != Status.OK) {
        throw failure(status, start, end);
      }
      read(count);
      checkpoints.offer(start, decoded, end, this::takeCheckpoint);
      passWaypoint(start);
      if (progress != QUIET) {
        report(progress, start, end);
      }
    }
    logitsAt = owner.decodes();
  }

  private void passWaypoint(int start) {
    try {
      waypoints.passed(decoded);
    } catch (RuntimeException | Error e) {
      stepBackTo(start);
      throw e;
    }
  }

  /** To the end of a micro batch, where a prefix cache ended inside of one. */
  private int tokensAtOnce() {
    int inside = exact == decoded ? decoded % microBatch : 0;
    return inside > 0 ? microBatch - inside : owner.tokensAtOnce();
  }

  private void showTo(int end, int firstShown, Operation operation, LogitsConsumer consumer) {
    followLength(end, operation);
    int start = decoded;
    int size = held.size();
    int vocabulary = owner.model().vocabularySize();
    int most = Math.clamp(SHOW_BYTES / (4L * vocabulary), 1, owner.tokensAtOnce());
    while (decoded < end) {
      int count = owner.kernel().step(Math.min(most, end - decoded), decoded);
      for (int i = 0; i < count; i++) {
        int index = decoded + i;
        context.put(i, held.id(index), held.stagedPosition(index), sequence, index >= size);
      }
      int status = operation.shouldStop() ? NativeContext.STOPPED : owner.decode(count, decoded);
      if (status != Status.OK) {
        throw failure(status, start, end);
      }
      int first = decoded;
      read(count);
      try {
        for (int i = Math.max(0, size - first); i < count; i++) {
          consumer.accept(firstShown + first + i - size, context.logits(i, vocabulary));
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
      if (closed.getAsBoolean()) {
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

  /** Takes back what was decoded from a token on; returns what to tell the user about it. */
  private String stepBackTo(int index) {
    logitsAt = -1;
    if (goBackTo(index)) {
      return "";
    }
    if (!owner.model().isRecurrent() && !owner.model().isHybrid()) {
      drop(); // the window has moved on: the tokens are read again with the next call
      return "";
    }
    forget();
    return "; the model keeps a recurrent state that cannot step back, so the session is now empty";
  }

  // ---- what is held -----------------------------------------------------------------------------

  /** Cuts the tokens back to the first ones. */
  void cutTo(int count) {
    if (count < decoded) {
      if (!goBackTo(count)) {
        throw cannotGoBackTo(count);
      }
      logitsAt = -1;
    }
    held.cutTo(count);
    checkpoints.cutTo(count);
  }

  /** Takes out a range and moves what follows back, so that there is no gap. */
  void discard(int from, int to) {
    owner.requireShiftable();
    int cells = Math.min(to, decoded);
    int distance = held.position(to) - held.position(from);
    requireAllCells();
    checkpoints.cutTo(from);
    if (to < decoded) {
      own(held.position(to), NativeCells.END);
      NativeMemory.discard(context, sequence, held.position(from), held.position(to));
    } else if (from < decoded) {
      removeFrom(from);
    }
    held.remove(from, to);
    held.move(from, held.size(), -distance);
    decoded -= Math.max(0, cells - from);
    if (from >= decoded) {
      held.closeGapsFrom(decoded); // what was not read yet follows the last cell
    }
    notPlainFrom(from);
    logitsAt = -1;
  }

  /**
   * Puts tokens in the place of others. What follows keeps its cells, which move by the difference.
   * When it fails everything is as it was.
   */
  void splice(int at, int removed, int[] inserted, Operation operation) {
    owner.requireShiftable();
    owner.requireFixedScaling();
    requireAllCells();
    int end = at + removed;
    if (end >= decoded) {
      replaceEnd(at, end, inserted, operation);
      return;
    }
    int[] ids = held.ids();
    int[] positions = held.positions();
    int had = decoded;
    own(positions[at], NativeCells.END); // so that what is put back has room
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment before =
          NativeCells.read(context, sequence, positions[at], positions[end], arena);
      MemorySegment tail =
          NativeCells.read(context, sequence, positions[end], NativeCells.END, arena);
      int[] stored = Arrays.copyOfRange(positions, end, had);
      try {
        cutTo(at);
        feed(inserted, 0, inserted.length, operation, QUIET);
        int distance = held.next() - positions[end];
        int[] moved = Arrays.stream(stored).map(position -> position + distance).toArray();
        makingRoom(moved.length, () -> NativeCells.write(context, sequence, stored, moved, tail));
        held.append(Arrays.copyOfRange(ids, end, had), moved);
        decoded = held.size();
        for (int i = had; i < ids.length; i++) {
          held.add(ids[i]);
        }
      } catch (RuntimeException | Error e) {
        removeFrom(at);
        NativeCells.write(context, sequence, stored, stored, tail);
        int[] places = Arrays.copyOfRange(positions, at, end);
        NativeCells.write(context, sequence, places, places, before);
        held.set(ids, positions);
        decoded = had;
        notPlainFrom(at);
        throw e;
      } finally {
        logitsAt = -1;
      }
    }
  }

  /** Copies the cells of a range of tokens out; all of them are in the cache. */
  MemorySegment read(int from, int to, SegmentAllocator storage) {
    MemorySegment rows = storage.allocate(NativeCells.bytes(context, to - from), 32);
    NativeCells.readInto(context, sequence, held.position(from), held.position(to - 1) + 1, rows);
    return rows;
  }

  /** Adds tokens behind the last one, with cells that were read at other positions. */
  void adopt(List<int[]> ids, List<NativeCells.Rows> rows) {
    if (decoded < held.size()) {
      throw new IllegalStateException(
          "%,d tokens are not read yet; cells can only be put behind read ones"
              .formatted(held.size() - decoded));
    }
    int count = rows.stream().mapToInt(row -> row.positions().length).sum();
    makingRoom(count, () -> NativeCells.write(context, sequence, rows));
    for (int i = 0; i < rows.size(); i++) {
      held.append(ids.get(i), rows.get(i).positions());
    }
    decoded = held.size();
    logitsAt = -1;
  }

  /** A splice whose end was not read yet: the rest is read behind what is inserted. */
  private void replaceEnd(int at, int end, int[] inserted, Operation operation) {
    int[] ids = held.ids();
    int[] positions = held.positions();
    int had = Math.min(decoded, at);
    cutTo(at);
    try {
      feed(inserted, 0, inserted.length, operation, QUIET);
    } catch (RuntimeException | Error e) {
      held.set(ids, positions);
      decoded = had;
      held.closeGapsFrom(decoded);
      throw e;
    }
    for (int i = end; i < ids.length; i++) {
      held.add(ids[i]);
    }
  }

  /** Makes cells that move this sequence's own: another one that shares them keeps its. */
  private void own(int from, int to) {
    makingRoom(decoded, () -> NativeCells.copyPrivate(context, sequence, from, to));
  }

  /** Does what needs free cells; the prefix cache gives some when there are too few. */
  private void makingRoom(int count, Runnable step) {
    while (true) {
      try {
        step.run();
        return;
      } catch (KvCacheFullException e) {
        if (!owner.yieldCells(count)) {
          throw e;
        }
      }
    }
  }

  /** Takes out a range; what follows keeps its positions. */
  void removeRange(int from, int to) {
    checkpoints.cutTo(from);
    int cells = Math.min(to, decoded);
    if (from < cells) {
      NativeMemory.remove(context, sequence, held.position(from), held.position(cells - 1) + 1);
      decoded -= cells - from;
    }
    held.remove(from, to);
    notPlainFrom(from);
    if (from >= decoded) {
      held.closeGapsFrom(decoded); // what was not read yet follows the last cell
    }
    logitsAt = -1;
  }

  /** Keeps only some tokens, at their positions. */
  void retain(BitSet keep) {
    checkpoints.cutTo(keep.nextClearBit(0));
    for (int from = keep.nextClearBit(0); from < decoded; from = keep.nextClearBit(from)) {
      int to = keep.nextSetBit(from);
      to = to < 0 ? decoded : Math.min(to, decoded);
      NativeMemory.remove(context, sequence, held.position(from), held.position(to - 1) + 1);
      from = to;
    }
    notPlainFrom(keep.nextClearBit(0));
    int kept = keep.get(0, decoded).cardinality();
    held.retain(keep);
    decoded = kept;
    held.closeGapsFrom(decoded); // what was not read yet follows the last cell
    logitsAt = -1;
  }

  /** Moves the first tokens forward, until they touch the one behind them. */
  void moveUp(int count) {
    int distance = held.position(count) - held.position(count - 1) - 1;
    if (distance > 0 && count < decoded) {
      own(0, held.position(count - 1) + 1);
      NativeMemory.shift(context, sequence, 0, held.position(count - 1) + 1, distance);
      held.move(0, count, distance);
      checkpoints.clear();
      notPlainFrom(0);
      logitsAt = -1;
    }
  }

  /** Moves everything so that the first token stands at position 0. */
  void moveToZero() {
    int distance = held.position(0);
    if (distance > 0) {
      own(0, NativeCells.END);
      NativeMemory.shift(context, sequence, 0, -1, -distance);
      held.move(0, held.size(), -distance);
      checkpoints.clear();
      notPlainFrom(0);
      logitsAt = -1;
    }
  }

  /** Forgets the cells and keeps the tokens, which are read again with the next call. */
  void drop() {
    if (owner.observes(this) && decoded > 0) {
      owner.notObserved();
    }
    checkpoints.clear();
    waypoints.clear();
    NativeMemory.removeAll(context, sequence);
    decoded = 0;
    notPlainFrom(0);
    held.closeGapsFrom(0);
    logitsAt = -1;
  }

  /** Forgets everything. */
  void forget() {
    drop();
    held.cutTo(0);
    owner.restartScaling();
  }

  /** Shares the tokens and cells of another sequence of the context. This one is empty. */
  void shareFrom(SessionCells other) {
    NativeMemory.share(context, other.sequence, sequence);
    held.shareFrom(other.held, other.held.size());
    decoded = other.decoded;
    checkpoints.set(other.checkpoints.list());
    plain = other.plain;
    exact = other.exact;
  }

  /**
   * Holds tokens whose cells a prefix cache has put into the empty sequence.
   *
   * @param others sessions that may hold the same tokens, which are then shared with them
   */
  void adopt(int[] ids, boolean exactly, Collection<LlamaSession> others) {
    others.stream()
        .map(LlamaSession::cells)
        .filter(other -> other.plain >= ids.length && other.held.startsWith(ids))
        .findFirst()
        .ifPresentOrElse(
            other -> held.shareFrom(other.held, ids.length),
            () -> {
              held.stage(ids, 0, ids.length);
              held.accept(ids.length);
            });
    decoded = ids.length;
    plain = decoded;
    exact = exactly ? decoded : 0;
    logitsAt = -1;
  }

  /**
   * Puts a state in place of what is held. The caller has compared the settings.
   *
   * @throws KvCacheFullException if other sequences have taken the cells; nothing is held then
   * @throws StateFormatException if the cells are not what the state says; nothing is held then
   */
  void restore(SessionState state) {
    drop(); // and keep the scaling, which is the state's
    held.cutTo(0);
    while (state.decoded() > 0
        && !NativeMemory.restore(context, sequence, Part.WHOLE, state.cells())) {
      drop();
      if (owner.yieldCells(state.decoded())) {
        continue;
      }
      if (owner.hasOwnPools()) {
        throw new StateFormatException(
            "the cells of the state do not fit the model, so the session is now empty; read the text again and save");
      }
      throw new KvCacheFullException(
          "no room for the %,d tokens of the state, so the session is now empty; raise contextTokens, or close or truncate other sessions"
              .formatted(state.size()));
    }
    held.set(state.tokens(), state.positions());
    decoded = state.decoded();
    held.closeGapsFrom(decoded); // what was not read yet follows the last cell
    checkpoints.set(state.checkpointStates());
    if (state.reading().how().equals(owner.reading())) {
      plain = state.reading().plain();
      exact = state.reading().exact();
    }
  }

  // ---- going back -------------------------------------------------------------------------------

  /** Keeps what cannot be cut back, as it is now. */
  void checkpoint() {
    if (decoded > 0) {
      checkpoints.take(decoded, this::takeCheckpoint);
    }
  }

  /**
   * Lays a window's cells down in the order in which a restored state has them. Where they lie
   * decides in which order attention sums over them, and so the last bits of the logits.
   */
  void settleWindow() {
    boolean rolling =
        !owner.model().isRecurrent() && owner.needsCheckpoints() && owner.hasOwnPools();
    if (rolling && decoded > owner.model().slidingWindowTokens()) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment window = NativeMemory.save(context, sequence, Part.PARTIAL, arena);
        if (!NativeMemory.restore(context, sequence, Part.PARTIAL, window)) {
          drop(); // cannot be: it had the cells before
        }
      }
    }
  }

  private StateCheckpoint takeCheckpoint() {
    return new StateCheckpoint(
        decoded, NativeMemory.save(context, sequence, Part.PARTIAL, Arena.ofAuto()));
  }

  /**
   * Makes the memory that of the first tokens, or of fewer where only a checkpoint can do it; the
   * rest is then read again with the next call.
   *
   * @return whether it could be done; if not, nothing is changed
   */
  private boolean goBackTo(int count) {
    if (hasCells(count) && NativeMemory.removeFrom(context, sequence, held.stagedPosition(count))) {
      decoded = count;
      notPlainFrom(count);
      return true;
    }
    Optional<StateCheckpoint> checkpoint = checkpoints.before(count);
    if (checkpoint.isEmpty()) {
      return false;
    }
    int tokens = checkpoint.get().tokens();
    if (!NativeMemory.restore(context, sequence, Part.PARTIAL, checkpoint.get().cells())
        || !NativeMemory.removeFrom(context, sequence, held.stagedPosition(tokens))) {
      drop(); // other sequences have taken the cells: everything is read again
      return true;
    }
    decoded = tokens;
    notPlainFrom(tokens);
    checkpoints.cutTo(tokens);
    return true;
  }

  /** Tells whether sliding-window layers still hold what the next token will look at. */
  private boolean hasCells(int count) {
    int window = owner.model().slidingWindowTokens();
    if (window == 0 || count == 0) {
      return true;
    }
    int oldest = held.stagedPosition(count) - window + 1;
    int first = 0;
    while (first < count && held.position(first) < oldest) {
      first++;
    }
    return first == count
        || NativeMemory.smallestPosition(context, sequence) <= held.position(first);
  }

  /** Refuses a move that would bring lost cells into a window again. */
  private void requireAllCells() {
    if (owner.model().slidingWindowTokens() > 0
        && decoded > 0
        && NativeMemory.smallestPosition(context, sequence) > held.position(0)) {
      throw new UnsupportedOperationForModelException(
          "the sliding-window layers no longer hold every cell of the text (a state keeps their window only, and cells behind it may be taken by new tokens), so nothing can be moved; clear() the session and append again");
    }
  }

  private UnsupportedOperationForModelException cannotGoBackTo(int count) {
    if (owner.model().isRecurrent() || owner.model().isHybrid()) {
      return new UnsupportedOperationForModelException(
          "%s keeps a recurrent state and cannot forget a part of a sequence; clear() the session and append again, or keep checkpoints (SessionOptions)"
              .formatted(owner.model().description()));
    }
    return new UnsupportedOperationForModelException(
        "the sliding-window layers no longer hold the cells before token %,d (the oldest is at position %,d); clear() the session and append again, keep checkpoints (SessionOptions), or make the context withFullSlidingWindow(true)"
            .formatted(count, NativeMemory.smallestPosition(context, sequence)));
  }

  // ---- what a prefix cache may remember ---------------------------------------------------------

  /** Number of the first cells that depend on nothing but the tokens. */
  int plain() {
    return plain;
  }

  /** Number of the first plain cells whose bits do not depend on where the text was divided. */
  int exact() {
    return exact;
  }

  /**
   * Tells that the cells from a token on were changed or are gone. Whatever changes cells other
   * than by reading what follows calls it.
   */
  void notPlainFrom(int index) {
    plain = Math.min(plain, index);
    exact = Math.min(exact, index - index % block);
  }

  private void read(int count) {
    if (plain == decoded) {
      plain += count;
    }
    int end = decoded + count;
    if (exact == decoded) {
      int last = Math.max(decoded, end - end % microBatch); // where the last micro batch begins
      exact = end - last < block ? last : end - end % block;
    }
    decoded = end;
  }

  private boolean removeFrom(int index) {
    return NativeMemory.removeFrom(context, sequence, held.position(index));
  }
}
