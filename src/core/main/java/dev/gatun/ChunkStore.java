package dev.gatun;

import dev.gatun.error.KvCacheFullException;
import dev.gatun.error.StateFormatException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.kv.StateSettings;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;

/**
 * Reads documents once, as chunks, and puts them together in any order without reading them again.
 *
 * <p>Every chunk is read alone behind a fixed prefix: the begin-of-sequence token and what opens
 * every prompt, which attention falls back on. Putting chunks together turns their keys to the new
 * positions and reads only a few tokens of each again. Chunks then know nothing of each other but
 * through those tokens: what the model says differs a little from what it says after a full read;
 * {@link #compareWithFullPrefill} measures by how much.
 *
 * <p>Sources: Yao et al., "CacheBlend", 2025; Hu et al., "EPIC: position-independent caching",
 * 2025.
 *
 * <p>Immutable; the calls take a session and run on the thread that drives its context.
 */
public final class ChunkStore {
  private static final PrefillProgress QUIET = (done, total) -> {};

  /** Tokens whose distributions are held at a time for a comparison. */
  private static final int COMPARED_AT_ONCE = 64;

  private final int[] prefix;
  private final SegmentAllocator storage;

  /** Whether the storage can be freed while a call runs. */
  private final boolean foreign;

  private ChunkStore(int[] prefix, SegmentAllocator storage, boolean foreign) {
    this.prefix = prefix;
    this.storage = storage;
    this.foreign = foreign;
  }

  /**
   * Returns a store whose cells live in memory of their own, which is freed when nothing refers to
   * it any more.
   *
   * @param prefix tokens that stand before every chunk and before every assembled text, at least
   *     one
   */
  public static ChunkStore behind(int... prefix) {
    if (prefix.length == 0) {
      throw new IllegalArgumentException(
          "chunks need at least one token before them, which attention falls back on; give the"
              + " begin-of-sequence token");
    }
    return new ChunkStore(
        prefix.clone(), (size, align) -> Arena.ofAuto().allocate(size, align), false);
  }

  /**
   * Returns a store that keeps cells elsewhere.
   *
   * @param allocator gives the memory for each chunk: {@link SegmentAllocator#slicingAllocator} of
   *     a mapped file puts them there
   */
  public ChunkStore withStorage(SegmentAllocator allocator) {
    return new ChunkStore(prefix, allocator, true);
  }

  /** Returns a copy of the prefix. */
  public int[] prefix() {
    return prefix.clone();
  }

  /**
   * Reads a chunk.
   *
   * @param session is empty, or holds the prefix as after an earlier call; it holds the prefix
   *     afterwards
   * @param tokens the chunk, at least one token
   * @throws UnsupportedOperationForModelException if the model's memory cannot be taken apart or
   *     moved: a recurrent state, sliding-window layers that do not keep every cell, keys of type
   *     BF16, positions of several dimensions, a scaling that follows the length
   * @throws KvCacheFullException if prefix and chunk do not fit
   */
  public CachedChunk read(LlamaSession session, int... tokens) {
    return read(session, tokens, Cancellation.never(), QUIET);
  }

  /**
   * Reads a chunk; arguments and failures as in {@link #read(LlamaSession, int...)}.
   *
   * @param cancellation ends it, also inside a batch
   * @param progress called after each batch of the chunk
   * @throws dev.gatun.error.OperationCancelledException if it was cancelled; the session then holds
   *     the prefix, or nothing
   */
  public CachedChunk read(
      LlamaSession session, int[] tokens, Cancellation cancellation, PrefillProgress progress) {
    if (tokens.length == 0) {
      throw new IllegalArgumentException("a chunk has at least one token");
    }
    requireSupport(session);
    requirePrefixOrNothing(session);
    requireRoom(session, tokens.length);
    if (session.size() == 0) {
      session.append(prefix, cancellation, QUIET);
    }
    session.append(tokens, cancellation, progress);
    session.enter();
    try {
      SessionCells cells = session.cells();
      int from = prefix.length;
      int to = from + tokens.length;
      try {
        MemorySegment rows = cells.read(from, to, storage);
        int[] positions = Arrays.copyOfRange(session.positions(), from, to);
        return new CachedChunk(
            StateIdentity.settingsOfCells(session.context()),
            prefix,
            tokens.clone(),
            positions,
            rows.asReadOnly(),
            foreign);
      } finally {
        cells.cutTo(from);
      }
    } finally {
      session.exit();
    }
  }

  /**
   * Puts chunks behind the prefix, in this order, without a gap. The caller then appends the
   * question.
   *
   * @param session is empty or holds the prefix
   * @param chunks of a store with the same prefix, read under the same settings; each may come more
   *     than once
   * @throws StateFormatException if a chunk was read behind another prefix, by another model or
   *     under other settings; nothing is changed
   * @throws KvCacheFullException if they do not fit; the session then holds nothing more than the
   *     prefix
   * @throws UnsupportedOperationForModelException as {@link #read}
   */
  public ChunkReport assemble(
      LlamaSession session, List<CachedChunk> chunks, ChunkOptions options) {
    return assemble(session, chunks, options, Cancellation.never());
  }

  /**
   * Puts chunks behind the prefix; arguments and failures as in {@link #assemble(LlamaSession,
   * List, ChunkOptions)}.
   *
   * @param cancellation ends it, also inside a batch
   * @throws dev.gatun.error.OperationCancelledException if it was cancelled; the session then holds
   *     nothing more than the prefix
   */
  public ChunkReport assemble(
      LlamaSession session,
      List<CachedChunk> chunks,
      ChunkOptions options,
      Cancellation cancellation) {
    requireSupport(session);
    requirePrefixOrNothing(session);
    StateSettings settings = StateIdentity.settingsOfCells(session.context());
    for (CachedChunk chunk : chunks) {
      requireSame(chunk, settings);
    }
    requireRoom(session, chunks.stream().mapToInt(CachedChunk::size).sum());
    if (session.size() == 0) {
      session.append(prefix, cancellation, QUIET);
    }
    session.enter();
    try {
      session.requireIdle();
      Operation operation = session.newOperation(cancellation, Optional.empty());
      ChunkAssembly assembly = new ChunkAssembly(session.cells(), chunks, options);
      session.run(operation, () -> assembly.run(operation));
      return assembly.report();
    } finally {
      session.exit();
    }
  }

  /**
   * Measures how far an assembled session is from one that has read everything: both go on with the
   * same tokens, and the distributions of the next token after each of them are compared. What is
   * appended is taken back again.
   *
   * @param assembled a session with chunks, and a question perhaps
   * @param reference an empty session of the same model, scaling and types, of this or another
   *     context; it reads everything, and is empty afterwards
   * @param continuation at least one token
   */
  public static ChunkDivergence compareWithFullPrefill(
      LlamaSession assembled, LlamaSession reference, int... continuation) {
    return compareWithFullPrefill(assembled, reference, continuation, Cancellation.never());
  }

  /**
   * Measures how far an assembled session is from one that has read everything; arguments as in
   * {@link #compareWithFullPrefill(LlamaSession, LlamaSession, int...)}.
   *
   * @param cancellation ends it, also inside a batch
   * @throws dev.gatun.error.OperationCancelledException if it was cancelled; the sessions are as
   *     after a comparison
   */
  public static ChunkDivergence compareWithFullPrefill(
      LlamaSession assembled,
      LlamaSession reference,
      int[] continuation,
      Cancellation cancellation) {
    if (continuation.length == 0 || reference.size() > 0) {
      throw new IllegalArgumentException(
          "give at least one token to go on with, and a reference session that is empty");
    }
    List<String> differences =
        StateIdentity.settingsOfCells(assembled.context())
            .differences(StateIdentity.settingsOfCells(reference.context()));
    if (!differences.isEmpty()) {
      throw new IllegalArgumentException(
          "the sessions cannot be compared: " + String.join("; ", differences));
    }
    int size = assembled.size();
    ChunkDivergence.Sum sum = new ChunkDivergence.Sum();
    try {
      reference.append(assembled.tokens(), cancellation, QUIET);
      for (int from = 0; from < continuation.length; from += COMPARED_AT_ONCE) {
        int to = Math.min(from + COMPARED_AT_ONCE, continuation.length);
        int[] part = Arrays.copyOfRange(continuation, from, to);
        compare(assembled, reference, part, cancellation, sum);
      }
    } finally {
      reference.clear();
      assembled.truncate(Math.min(size, assembled.size()));
    }
    return sum.result();
  }

  private static void compare(
      LlamaSession assembled,
      LlamaSession reference,
      int[] tokens,
      Cancellation cancellation,
      ChunkDivergence.Sum sum) {
    List<float[]> expected = new ArrayList<>();
    reference.evaluate(
        tokens, cancellation, (_, logits) -> expected.add(logits.toArray(ValueLayout.JAVA_FLOAT)));
    Iterator<float[]> next = expected.iterator();
    assembled.evaluate(
        tokens,
        cancellation,
        (_, logits) -> sum.add(next.next(), logits.toArray(ValueLayout.JAVA_FLOAT)));
  }

  private static void requireSupport(LlamaSession session) {
    session.enter();
    try {
      session.requireIdle();
      session.context().requireShiftable();
      session.context().requireFixedScaling();
    } finally {
      session.exit();
    }
  }

  /** Refuses a session that holds anything but a beginning of the prefix. */
  private void requirePrefixOrNothing(LlamaSession session) {
    int[] held = session.tokens();
    int[] positions = session.positions();
    boolean whole = held.length == 0 || positions[held.length - 1] == held.length - 1;
    if (held.length > 0 && !(whole && Arrays.equals(held, prefix))) {
      throw new IllegalStateException(
          "the session holds %,d tokens that are not the store's prefix; clear() it first"
              .formatted(held.length));
    }
  }

  private void requireRoom(LlamaSession session, int tokens) {
    int needed = prefix.length - session.size() + tokens;
    if (needed > session.remaining()) {
      throw new KvCacheFullException(
          "no room for %,d tokens of chunks: the session has room for %,d; raise contextTokens"
              .formatted(needed, session.remaining()));
    }
  }

  private void requireSame(CachedChunk chunk, StateSettings settings) {
    if (!Arrays.equals(chunk.prefix(), prefix)) {
      throw new StateFormatException(
          "a chunk was read behind another prefix; read it again with this store");
    }
    List<String> differences = chunk.settings().differences(settings);
    if (!differences.isEmpty()) {
      throw new StateFormatException(
          "a chunk was read under other settings (%s); read it again"
              .formatted(String.join("; ", differences)));
    }
  }
}
