package dev.gatun.internal;

import static dev.gatun.bindings.generated.gatun_shim_h.GATUN_OBSERVE_HEADS;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_attention_info;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_attention_layers;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_memory_keys;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_observe_begin;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_observe_end;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_observe_heads;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_observe_queries;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_observe_reset;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_observe_scores;

import dev.gatun.bindings.generated.gatun_attention_shape;
import dev.gatun.error.LlamaException;
import dev.gatun.error.UnsupportedOperationForModelException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * What the queries of a context attend to, and the keys that they meet. Every method is called
 * inside the context's guard.
 *
 * <p>It works on the CPU, in contexts with flash attention, for the layers that attend to the whole
 * text; sliding-window and recurrent layers take no part. Everywhere else the methods throw {@link
 * UnsupportedOperationForModelException}.
 *
 * <p>Arrays by token are in ascending order of the positions of the sequence's cells; {@code
 * positions} says which they are, also after tokens were evicted.
 */
public final class NativeAttention {
  /** Observe the queries of every sequence. */
  public static final int ALL_SEQUENCES = -1;

  private NativeAttention() {}

  /**
   * What is observed.
   *
   * @param sequence whose queries; {@link #ALL_SEQUENCES} for all
   * @param firstPosition position of the first query that counts
   * @param heads whether also by layer and head
   * @param queryTokens of how many tokens the queries are kept, the last observed ones
   */
  public record Watch(int sequence, int firstPosition, boolean heads, int queryTokens) {
    /** Everything that a sequence's queries attend to. */
    public static Watch of(int sequence) {
      return new Watch(sequence, 0, false, 0);
    }

    /** Returns a copy that counts queries from a position on. */
    public Watch from(int position) {
      return new Watch(sequence, position, heads, queryTokens);
    }

    /** Returns a copy that also adds up by layer and head. */
    public Watch withHeads() {
      return new Watch(sequence, firstPosition, true, queryTokens);
    }

    /** Returns a copy that keeps the queries of the last tokens. */
    public Watch withQueries(int tokens) {
      return new Watch(sequence, firstPosition, heads, tokens);
    }
  }

  /**
   * Softmax probabilities, one for each cell.
   *
   * @param positions of the cells, ascending
   * @param sums over the observed queries, all layers and heads
   * @param maxima over the same
   * @param last mean over layers and heads for the last observed query
   * @param queries number of observed queries since the last reset
   * @param layers layers that were added up
   * @param heads heads of each
   */
  public record Scores(
      int[] positions,
      float[] sums,
      float[] maxima,
      float[] last,
      long queries,
      int layers,
      int heads) {}

  /**
   * Softmax probabilities by layer and head.
   *
   * @param positions of the cells, ascending
   * @param layers the layers' numbers in the model
   * @param sums over the observed queries, {@code [layer][head][cell]}
   * @param maxima over the same
   */
  public record HeadScores(int[] positions, int[] layers, float[][][] sums, float[][][] maxima) {}

  /**
   * Queries as they are before the rotation.
   *
   * @param positions of the tokens, oldest first
   * @param layers the layers' numbers in the model
   * @param heads query heads of each layer
   * @param headSize elements of one query
   * @param values {@code [layer][token][head][element]}
   */
  public record Queries(int[] positions, int[] layers, int heads, int headSize, float[] values) {
    /** Returns where a query begins in {@link #values()}. */
    public int at(int layerIndex, int token, int head) {
      return ((layerIndex * positions.length + token) * heads + head) * headSize;
    }
  }

  /**
   * The keys of one layer.
   *
   * @param positions of the cells, ascending
   * @param width elements of all key heads together
   * @param values {@code [cell][width]}: rotated as the cache has them, to their position, or under
   *     two bands to their far position; without the mixing of a quantised cache
   */
  public record Keys(int[] positions, int width, float[] values) {}

  /**
   * The keys of one layer, in native memory.
   *
   * @param positions int32, of the cells, ascending
   * @param width elements of all key heads together
   * @param values float32, {@code [cell][width]}, as {@link Keys#values()}
   */
  public record KeyRows(MemorySegment positions, int width, MemorySegment values) {}

  /**
   * Begins to observe, in place of what was observed before. Attention is then computed in float32
   * by Gatun's own kernel.
   *
   * @throws UnsupportedOperationForModelException if this context's attention cannot be observed
   */
  public static void begin(NativeContext context, Watch watch) {
    ErrorBuffer error = context.error();
    check(
        "gatun_observe_begin",
        gatun_observe_begin(
            context.handle(),
            watch.heads() ? GATUN_OBSERVE_HEADS : 0,
            watch.sequence(),
            watch.firstPosition(),
            watch.queryTokens(),
            error.segment(),
            error.capacity()),
        error);
  }

  /** Ends it; the sums are gone. */
  public static void end(NativeContext context) {
    ErrorBuffer error = context.error();
    check(
        "gatun_observe_end",
        gatun_observe_end(context.handle(), error.segment(), error.capacity()),
        error);
  }

  /**
   * Sets all sums to 0. Cells that get another token begin at 0 by themselves; after a restored
   * state call this.
   */
  public static void reset(NativeContext context) {
    ErrorBuffer error = context.error();
    check(
        "gatun_observe_reset",
        gatun_observe_reset(context.handle(), error.segment(), error.capacity()),
        error);
  }

  /** Returns the sums of the cells of a sequence. */
  public static Scores scores(NativeContext context, int sequence) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment shape = shape(context, sequence, call);
      int cells = gatun_attention_shape.cells(shape);
      MemorySegment positions = call.allocate(ValueLayout.JAVA_INT, cells);
      MemorySegment sums = call.allocate(ValueLayout.JAVA_FLOAT, cells);
      MemorySegment maxima = call.allocate(ValueLayout.JAVA_FLOAT, cells);
      MemorySegment last = call.allocate(ValueLayout.JAVA_FLOAT, cells);
      ErrorBuffer error = context.error();
      check(
          "gatun_observe_scores",
          gatun_observe_scores(
              context.handle(),
              sequence,
              cells,
              positions,
              sums,
              maxima,
              last,
              error.segment(),
              error.capacity()),
          error);
      return new Scores(
          positions.toArray(ValueLayout.JAVA_INT),
          sums.toArray(ValueLayout.JAVA_FLOAT),
          maxima.toArray(ValueLayout.JAVA_FLOAT),
          last.toArray(ValueLayout.JAVA_FLOAT),
          gatun_attention_shape.observed(shape),
          gatun_attention_shape.layers(shape),
          gatun_attention_shape.heads(shape));
    }
  }

  /**
   * Returns the sums by layer and head. A layer with fewer heads than others has zeros in the rest.
   *
   * @throws UnsupportedOperationForModelException if {@link Watch#heads()} was not asked for
   */
  public static HeadScores headScores(NativeContext context, int sequence) {
    Scores all = scores(context, sequence);
    int cells = all.positions().length;
    try (Arena call = Arena.ofConfined()) {
      long n = (long) all.layers() * all.heads() * cells;
      MemorySegment sums = call.allocate(ValueLayout.JAVA_FLOAT, n);
      MemorySegment maxima = call.allocate(ValueLayout.JAVA_FLOAT, n);
      ErrorBuffer error = context.error();
      check(
          "gatun_observe_heads",
          gatun_observe_heads(
              context.handle(), sequence, cells, sums, maxima, error.segment(), error.capacity()),
          error);
      return new HeadScores(
          all.positions(),
          layers(context, all.layers(), call),
          split(sums, all.layers(), all.heads(), cells),
          split(maxima, all.layers(), all.heads(), cells));
    }
  }

  private static float[][][] split(MemorySegment values, int layers, int heads, int cells) {
    float[][][] split = new float[layers][heads][cells];
    long at = 0;
    for (float[][] layer : split) {
      for (float[] head : layer) {
        MemorySegment.copy(values, ValueLayout.JAVA_FLOAT, at, head, 0, cells);
        at += 4L * cells;
      }
    }
    return split;
  }

  /** Returns the kept queries. */
  public static Queries queries(NativeContext context) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment shape = shape(context, 0, call);
      int tokens = gatun_attention_shape.query_tokens(shape);
      int layers = gatun_attention_shape.layers(shape);
      int heads = gatun_attention_shape.heads(shape);
      int headSize = gatun_attention_shape.head_size(shape);
      MemorySegment positions = call.allocate(ValueLayout.JAVA_INT, tokens);
      MemorySegment values =
          call.allocate(ValueLayout.JAVA_FLOAT, (long) layers * tokens * heads * headSize);
      ErrorBuffer error = context.error();
      check(
          "gatun_observe_queries",
          gatun_observe_queries(
              context.handle(), tokens, positions, values, error.segment(), error.capacity()),
          error);
      return new Queries(
          positions.toArray(ValueLayout.JAVA_INT),
          layers(context, layers, call),
          heads,
          headSize,
          values.toArray(ValueLayout.JAVA_FLOAT));
    }
  }

  /**
   * Returns the layers that attend to the whole text, by their numbers in the model.
   *
   * @throws UnsupportedOperationForModelException if this context's attention is out of reach
   */
  public static int[] layers(NativeContext context) {
    try (Arena call = Arena.ofConfined()) {
      return layers(context, gatun_attention_shape.layers(shape(context, 0, call)), call);
    }
  }

  /** Returns the elements of one head. */
  public static int headSize(NativeContext context) {
    try (Arena call = Arena.ofConfined()) {
      return gatun_attention_shape.head_size(shape(context, 0, call));
    }
  }

  private static int[] layers(NativeContext context, int count, Arena call) {
    MemorySegment layers = call.allocate(ValueLayout.JAVA_INT, count);
    ErrorBuffer error = context.error();
    check(
        "gatun_attention_layers",
        gatun_attention_layers(context.handle(), count, layers, error.segment(), error.capacity()),
        error);
    return layers.toArray(ValueLayout.JAVA_INT);
  }

  /**
   * Returns the keys of a sequence in one layer. Nothing needs to be observed.
   *
   * @param layer one of {@link #layers}
   */
  public static Keys keys(NativeContext context, int sequence, int layer) {
    try (Arena call = Arena.ofConfined()) {
      KeyRows rows = keyRows(context, sequence, layer, call);
      return new Keys(
          rows.positions().toArray(ValueLayout.JAVA_INT),
          rows.width(),
          rows.values().toArray(ValueLayout.JAVA_FLOAT));
    }
  }

  /** As {@link #keys(NativeContext, int, int)}, outside of the Java heap; {@code arena} owns it. */
  public static KeyRows keyRows(NativeContext context, int sequence, int layer, Arena arena) {
    int cells = gatun_attention_shape.cells(shape(context, sequence, arena));
    MemorySegment width = arena.allocate(ValueLayout.JAVA_INT);
    keys(context, sequence, layer, 0, MemorySegment.NULL, MemorySegment.NULL, width);
    int elements = width.get(ValueLayout.JAVA_INT, 0);
    MemorySegment positions = arena.allocate(ValueLayout.JAVA_INT, cells);
    MemorySegment values = arena.allocate(ValueLayout.JAVA_FLOAT, (long) cells * elements);
    if (cells > 0) {
      keys(context, sequence, layer, cells, positions, values, width);
    }
    return new KeyRows(positions, elements, values);
  }

  private static void keys(
      NativeContext context,
      int sequence,
      int layer,
      int cells,
      MemorySegment positions,
      MemorySegment values,
      MemorySegment width) {
    ErrorBuffer error = context.error();
    check(
        "gatun_memory_keys",
        gatun_memory_keys(
            context.handle(),
            sequence,
            layer,
            cells,
            positions,
            values,
            width,
            error.segment(),
            error.capacity()),
        error);
  }

  private static MemorySegment shape(NativeContext context, int sequence, Arena call) {
    MemorySegment shape =
        call.allocate(gatun_attention_shape.BYTES, gatun_attention_shape.ALIGNMENT);
    ErrorBuffer error = context.error();
    check(
        "gatun_attention_info",
        gatun_attention_info(context.handle(), sequence, shape, error.segment(), error.capacity()),
        error);
    return shape;
  }

  private static void check(String call, int status, ErrorBuffer error) {
    if (status == Status.INVALID_ARGUMENT) {
      throw new UnsupportedOperationForModelException(error.message());
    }
    Status.check(call, status, error, LlamaException::new);
  }
}
