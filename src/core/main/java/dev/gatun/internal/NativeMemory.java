package dev.gatun.internal;

import static dev.gatun.bindings.generated.gatun_shim_h.gatun_memory_breakdown;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_memory_discard;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_memory_divide;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_memory_remove;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_memory_share;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_memory_shift;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_state_seq_get;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_state_seq_set;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_state_seq_size;
import static dev.gatun.bindings.generated.llama_h.llama_memory_can_shift;
import static dev.gatun.bindings.generated.llama_h.llama_memory_seq_pos_min;
import static dev.gatun.bindings.generated.llama_h.llama_model_rope_type;

import dev.gatun.bindings.generated.gatun_memory_entry;
import dev.gatun.bindings.generated.ggml_h;
import dev.gatun.bindings.generated.llama_h;
import dev.gatun.error.DecodeException;
import dev.gatun.error.LlamaException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * The memory of a context: its cells and its bytes. Every method is called inside the context's
 * guard.
 */
public final class NativeMemory {
  private static final int MAX_ENTRIES = 256;
  private static final int ALL = -1;

  /** Version of the layout of saved cells ({@code LLAMA_STATE_SEQ_VERSION}). */
  public static final int STATE_VERSION = llama_h.LLAMA_STATE_SEQ_VERSION;

  /** What of a sequence's memory is copied. */
  public enum Part {
    /** All of it. */
    WHOLE(llama_h.LLAMA_STATE_SEQ_FLAGS_NONE),
    /** What cannot be cut back: the cells of sliding windows and the recurrent state. */
    PARTIAL(llama_h.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY);

    private final int flags;

    Part(int flags) {
      this.flags = flags;
    }
  }

  private NativeMemory() {}

  /**
   * Bytes on one device.
   *
   * @param device device name
   * @param bufferType buffer type name
   * @param onHost whether it is host memory
   * @param modelBytes weights
   * @param contextBytes KV cells and states
   * @param computeBytes compute buffers
   */
  public record Entry(
      String device,
      String bufferType,
      boolean onHost,
      long modelBytes,
      long contextBytes,
      long computeBytes) {}

  /** Returns the bytes by device, as {@code llama_get_memory_breakdown} reports them. */
  public static List<Entry> breakdown(NativeContext context) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment entries =
          call.allocate(gatun_memory_entry.BYTES * MAX_ENTRIES, gatun_memory_entry.ALIGNMENT);
      MemorySegment count = call.allocate(ValueLayout.JAVA_LONG);
      ErrorBuffer error = context.error();
      int status =
          gatun_memory_breakdown(
              context.handle(), entries, MAX_ENTRIES, count, error.segment(), error.capacity());
      Status.check("gatun_memory_breakdown", status, error, LlamaException::new);
      List<Entry> list = new ArrayList<>();
      long n = Math.min(count.get(ValueLayout.JAVA_LONG, 0), MAX_ENTRIES);
      for (long i = 0; i < n; i++) {
        MemorySegment entry =
            entries.asSlice(i * gatun_memory_entry.BYTES, gatun_memory_entry.BYTES);
        list.add(
            new Entry(
                gatun_memory_entry.device(entry).getString(0),
                gatun_memory_entry.buffer_type(entry).getString(0),
                gatun_memory_entry.is_host(entry) != 0,
                gatun_memory_entry.model_bytes(entry),
                gatun_memory_entry.context_bytes(entry),
                gatun_memory_entry.compute_bytes(entry)));
      }
      return List.copyOf(list);
    }
  }

  /**
   * Removes the cells of a sequence from a position on.
   *
   * @return whether the memory could do it; a recurrent one cannot remove a part
   */
  public static boolean removeFrom(NativeContext context, int sequence, int position) {
    return remove(context, sequence, position, ALL);
  }

  /**
   * Removes the cells of a range of positions from a sequence; other sequences keep theirs.
   *
   * @return whether the memory could do it; a recurrent one cannot remove a part
   */
  public static boolean remove(NativeContext context, int sequence, int from, int to) {
    ErrorBuffer error = context.error();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment removed = call.allocate(ValueLayout.JAVA_INT);
      int status =
          gatun_memory_remove(
              context.handle(), sequence, from, to, removed, error.segment(), error.capacity());
      Status.check("removing cells", status, error, LlamaException::new);
      return removed.get(ValueLayout.JAVA_INT, 0) != 0;
    }
  }

  /** Tells whether the memory can move positions at all ({@code llama_memory_can_shift}). */
  public static boolean canShift(NativeContext context) {
    return llama_memory_can_shift(context.memory());
  }

  /**
   * Removes a range of cells and moves what follows back, with the cached keys turned at once. As
   * {@link #shift}.
   */
  public static void discard(NativeContext context, int sequence, int from, int to) {
    ErrorBuffer error = context.error();
    int status =
        gatun_memory_discard(
            context.handle(), sequence, from, to, error.segment(), error.capacity());
    checkShift(status, error);
  }

  /**
   * Moves the positions of a range by a distance and turns the cached keys at once. The caller has
   * refused what llama.cpp aborts on.
   *
   * @param to end of the range; -1: to the end of the sequence
   * @throws IllegalStateException if another sequence shares the cells; nothing is changed
   * @throws DecodeException if the turn fails
   */
  public static void shift(NativeContext context, int sequence, int from, int to, int distance) {
    ErrorBuffer error = context.error();
    int status =
        gatun_memory_shift(
            context.handle(), sequence, from, to, distance, error.segment(), error.capacity());
    checkShift(status, error);
  }

  /**
   * Divides the positions of a range and turns the cached keys at once, as upstream's Self-Extend
   * does. As {@link #shift}.
   */
  public static void divide(NativeContext context, int sequence, int from, int to, int divisor) {
    ErrorBuffer error = context.error();
    int status =
        gatun_memory_divide(
            context.handle(), sequence, from, to, divisor, error.segment(), error.capacity());
    checkShift(status, error);
  }

  private static void checkShift(int status, ErrorBuffer error) {
    NativeLog.drain();
    if (status == Status.INVALID_ARGUMENT) {
      throw new IllegalStateException(error.message());
    }
    Status.check("shifting", status, error, DecodeException::new);
  }

  /** Tells whether a saved cell carries more than a position: M-RoPE's coordinates. */
  public static boolean hasWideCells(NativeModel model) {
    int type = llama_model_rope_type(model.handle());
    return type == ggml_h.GGML_ROPE_TYPE_MROPE || type == ggml_h.GGML_ROPE_TYPE_IMROPE;
  }

  /** Returns the bytes that {@link #save} would copy; it may copy a few less. */
  public static long savedBytes(NativeContext context, int sequence, Part part) {
    ErrorBuffer error = context.error();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment size = call.allocate(ValueLayout.JAVA_LONG);
      int status =
          gatun_state_seq_size(
              context.handle(), sequence, part.flags, size, error.segment(), error.capacity());
      Status.check("measuring the state", status, error, LlamaException::new);
      return size.get(ValueLayout.JAVA_LONG, 0);
    }
  }

  /**
   * Copies the cells of a sequence out.
   *
   * @param arena owns the copy
   * @return the state as {@code llama_state_seq_get_data_ext} writes it
   */
  public static MemorySegment save(NativeContext context, int sequence, Part part, Arena arena) {
    long bytes = savedBytes(context, sequence, part);
    ErrorBuffer error = context.error();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment size = call.allocate(ValueLayout.JAVA_LONG);
      MemorySegment state = arena.allocate(bytes);
      int status =
          gatun_state_seq_get(
              context.handle(),
              state,
              bytes,
              sequence,
              part.flags,
              size,
              error.segment(),
              error.capacity());
      Status.check("saving the state", status, error, LlamaException::new);
      return state.asSlice(0, size.get(ValueLayout.JAVA_LONG, 0)).asReadOnly();
    }
  }

  /**
   * Puts cells back in place of those that the sequence has. When that fails the sequence may hold
   * a part of them.
   *
   * @param state from {@link #save} of a context of the same model and settings
   * @return whether it was done; not, if there is no room or the cells are of another layout
   */
  public static boolean restore(
      NativeContext context, int sequence, Part part, MemorySegment state) {
    ErrorBuffer error = context.error();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment read = call.allocate(ValueLayout.JAVA_LONG);
      int status =
          gatun_state_seq_set(
              context.handle(),
              state,
              state.byteSize(),
              sequence,
              part.flags,
              read,
              error.segment(),
              error.capacity());
      NativeLog.drain();
      if (status == Status.FAILED) {
        return false;
      }
      Status.check("restoring the state", status, error, LlamaException::new);
      return read.get(ValueLayout.JAVA_LONG, 0) == state.byteSize();
    }
  }

  /** Removes all cells of a sequence. */
  public static void removeAll(NativeContext context, int sequence) {
    remove(context, sequence, ALL, ALL);
  }

  /** Makes a sequence share all cells of another one. */
  public static void share(NativeContext context, int source, int target) {
    share(context, source, target, ALL, ALL);
  }

  /**
   * Makes a sequence share the cells of a range of another one. Part of a range is shared in a
   * unified cache only, and the sequence holds none of these positions.
   */
  public static void share(NativeContext context, int source, int target, int from, int to) {
    ErrorBuffer error = context.error();
    int status =
        gatun_memory_share(
            context.handle(), source, target, from, to, error.segment(), error.capacity());
    Status.check("sharing cells", status, error, LlamaException::new);
  }

  /** Returns the smallest position that every layer still holds; -1 when the sequence is empty. */
  public static int smallestPosition(NativeContext context, int sequence) {
    return llama_memory_seq_pos_min(context.memory(), sequence);
  }
}
