package dev.gatun.internal;

import static dev.gatun.bindings.generated.gatun_shim_h.gatun_cells_bytes;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_cells_compact;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_cells_copy_private;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_cells_positions;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_cells_read;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_cells_usage;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_cells_write;

import dev.gatun.bindings.generated.gatun_cell_piece;
import dev.gatun.bindings.generated.gatun_cell_usage;
import dev.gatun.bindings.generated.gatun_compaction;
import dev.gatun.error.DecodeException;
import dev.gatun.error.KvCacheFullException;
import dev.gatun.error.LlamaException;
import dev.gatun.error.UnsupportedOperationForModelException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import java.util.List;

/**
 * The cells of a sequence, addressed by position: read out, added, made private, moved to the
 * front. Every method is called inside the context's guard.
 *
 * <p>A range is {@code [from, to)}; {@link #END} as its end is the end of the sequence. A recurrent
 * state cannot be taken apart by position, nor can sliding-window layers that have forgotten a part
 * of the range: both are refused.
 */
public final class NativeCells {
  /** The end of a sequence. */
  public static final int END = -1;

  private NativeCells() {}

  /**
   * Cells of the pool in which a sequence lives; sequences of a unified cache have one pool.
   *
   * @param size all cells
   * @param used cells in use by any sequence
   * @param shared cells in use by several sequences
   * @param extent highest cell in use + 1, which attention runs over
   * @param held cells of the sequence
   * @param heldShared cells of the sequence that other ones use too
   */
  public record Usage(int size, int used, int shared, int extent, int held, int heldShared) {}

  /**
   * What a compaction did.
   *
   * @param moved cells that changed their place
   * @param extentBefore {@link Usage#extent}, summed over the pools
   * @param extentAfter the same afterwards
   * @param releasedBytes host memory that went back to the system
   */
  public record Compaction(long moved, long extentBefore, long extentAfter, long releasedBytes) {}

  /** Counts the cells of a sequence's pool ({@code gatun_cells_usage}). */
  public static Usage usage(NativeContext context, int sequence) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(gatun_cell_usage.BYTES, gatun_cell_usage.ALIGNMENT);
      ErrorBuffer error = context.error();
      check(
          "counting cells",
          gatun_cells_usage(context.handle(), sequence, out, error.segment(), error.capacity()),
          error);
      return new Usage(
          gatun_cell_usage.size(out),
          gatun_cell_usage.used(out),
          gatun_cell_usage.shared(out),
          gatun_cell_usage.extent(out),
          gatun_cell_usage.held(out),
          gatun_cell_usage.held_shared(out));
    }
  }

  /** Returns the positions of a sequence's cells in a range, ascending. */
  public static int[] positions(NativeContext context, int sequence, int from, int to) {
    int capacity = usage(context, sequence).held();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(ValueLayout.JAVA_INT, Math.max(1, capacity));
      MemorySegment count = call.allocate(ValueLayout.JAVA_LONG);
      ErrorBuffer error = context.error();
      check(
          "listing cells",
          gatun_cells_positions(
              context.handle(),
              sequence,
              from,
              to,
              out,
              capacity,
              count,
              error.segment(),
              error.capacity()),
          error);
      return out.asSlice(0, 4 * count.get(ValueLayout.JAVA_LONG, 0)).toArray(ValueLayout.JAVA_INT);
    }
  }

  /** Returns the bytes that cells take when they are read out. */
  public static long bytes(NativeContext context, int cells) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(ValueLayout.JAVA_LONG);
      ErrorBuffer error = context.error();
      check(
          "measuring cells",
          gatun_cells_bytes(context.handle(), cells, out, error.segment(), error.capacity()),
          error);
      return out.get(ValueLayout.JAVA_LONG, 0);
    }
  }

  /**
   * Copies the cells of a range out, ascending by position.
   *
   * @param arena owns the copy
   * @return layer by layer the rows of keys, then of values; see {@code gatun_cells_bytes}
   */
  public static MemorySegment read(
      NativeContext context, int sequence, int from, int to, Arena arena) {
    int cells = positions(context, sequence, from, to).length;
    // aligned for any element type; never empty, so that it has an address
    MemorySegment rows = arena.allocate(Math.max(1, bytes(context, cells)), 32);
    return rows.asSlice(0, readInto(context, sequence, from, to, rows));
  }

  /**
   * Copies the cells of a range into a buffer; returns the bytes.
   *
   * @throws LlamaException if the buffer is too small
   */
  public static long readInto(
      NativeContext context, int sequence, int from, int to, MemorySegment target) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment written = call.allocate(ValueLayout.JAVA_LONG);
      ErrorBuffer error = context.error();
      check(
          "reading cells",
          gatun_cells_read(
              context.handle(),
              sequence,
              from,
              to,
              target,
              target.byteSize(),
              written,
              error.segment(),
              error.capacity()),
          error);
      return written.get(ValueLayout.JAVA_LONG, 0);
    }
  }

  /**
   * Rows that come to a sequence.
   *
   * @param stored the positions at which they were read, in the order of the rows
   * @param positions the positions that they come to
   * @param rows from {@link #read} of a context of the same model, types and position scaling;
   *     native memory that nobody frees during a call
   */
  public record Rows(int[] stored, int[] positions, MemorySegment rows) {
    /** Checks the numbers. */
    public Rows {
      if (stored.length != positions.length) {
        throw new IllegalArgumentException(
            "%d stored positions for %d cells".formatted(stored.length, positions.length));
      }
    }
  }

  /** Adds cells to a sequence; see {@link #write(NativeContext, int, List)}. */
  public static void write(
      NativeContext context, int sequence, int[] stored, int[] positions, MemorySegment rows) {
    write(context, sequence, List.of(new Rows(stored, positions, rows)));
  }

  /**
   * Adds cells to a sequence; those that it holds stay. Keys that come to another position are
   * turned, all of them at once.
   *
   * @throws KvCacheFullException if there is no room; nothing is changed
   * @throws IllegalArgumentException if a position is given twice or is there already; nothing is
   *     changed
   * @throws DecodeException if the turn fails; nothing is changed
   */
  public static void write(NativeContext context, int sequence, List<Rows> pieces) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment array = gatun_cell_piece.allocateArray(Math.max(1, pieces.size()), call);
      for (int i = 0; i < pieces.size(); i++) {
        Rows piece = pieces.get(i);
        if (!piece.rows().scope().isAlive()) {
          throw new IllegalStateException("the memory of the rows was freed");
        }
        MemorySegment entry = gatun_cell_piece.asSlice(array, i);
        gatun_cell_piece.stored(entry, call.allocateFrom(ValueLayout.JAVA_INT, piece.stored()));
        gatun_cell_piece.positions(
            entry, call.allocateFrom(ValueLayout.JAVA_INT, piece.positions()));
        gatun_cell_piece.n(entry, piece.positions().length);
        gatun_cell_piece.src(entry, piece.rows());
        gatun_cell_piece.size(entry, piece.rows().byteSize());
      }
      ErrorBuffer error = context.error();
      int status =
          gatun_cells_write(
              context.handle(), sequence, array, pieces.size(), error.segment(), error.capacity());
      Reference.reachabilityFence(pieces); // the struct holds bare addresses
      NativeLog.drain();
      if (status == Status.INVALID_ARGUMENT) {
        throw new IllegalArgumentException(error.message());
      }
      Status.check("writing cells", status, error, failure(status));
    }
  }

  /**
   * Gives a sequence cells of its own in place of those of a range that it shares; returns how
   * many.
   *
   * @throws KvCacheFullException if there is no room for them; nothing is changed
   */
  public static int copyPrivate(NativeContext context, int sequence, int from, int to) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment copied = call.allocate(ValueLayout.JAVA_INT);
      ErrorBuffer error = context.error();
      check(
          "copying shared cells",
          gatun_cells_copy_private(
              context.handle(), sequence, from, to, copied, error.segment(), error.capacity()),
          error);
      return copied.get(ValueLayout.JAVA_INT, 0);
    }
  }

  /** Moves the used cells of every pool to its front and keeps their order. */
  public static Compaction compact(NativeContext context) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(gatun_compaction.BYTES, gatun_compaction.ALIGNMENT);
      ErrorBuffer error = context.error();
      check(
          "compacting",
          gatun_cells_compact(context.handle(), out, error.segment(), error.capacity()),
          error);
      return new Compaction(
          gatun_compaction.moved(out),
          gatun_compaction.extent_before(out),
          gatun_compaction.extent_after(out),
          gatun_compaction.released_bytes(out));
    }
  }

  private static void check(String what, int status, ErrorBuffer error) {
    NativeLog.drain();
    if (status == Status.INVALID_ARGUMENT) {
      throw new UnsupportedOperationForModelException(error.message());
    }
    Status.check(what, status, error, failure(status));
  }

  private static java.util.function.Function<String, RuntimeException> failure(int status) {
    return status == Status.NO_ROOM ? KvCacheFullException::new : DecodeException::new;
  }
}
