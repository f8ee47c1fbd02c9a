package dev.gatun.internal;

import static dev.gatun.bindings.generated.gatun_shim_h.GATUN_SPARSE_BIG_BIRD;
import static dev.gatun.bindings.generated.gatun_shim_h.GATUN_SPARSE_BLOCKS;
import static dev.gatun.bindings.generated.gatun_shim_h.GATUN_SPARSE_DILATED;
import static dev.gatun.bindings.generated.gatun_shim_h.GATUN_SPARSE_LOCAL;
import static dev.gatun.bindings.generated.gatun_shim_h.GATUN_SPARSE_LONGFORMER;
import static dev.gatun.bindings.generated.gatun_shim_h.GATUN_SPARSE_NONE;
import static dev.gatun.bindings.generated.gatun_shim_h.GATUN_SPARSE_PAGES;
import static dev.gatun.bindings.generated.gatun_shim_h.GATUN_SPARSE_STRIDED;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_attend_in_order;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_pages_invalidate;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_sparse_read;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_sparse_set;

import dev.gatun.bindings.generated.gatun_sparse_counts;
import dev.gatun.bindings.generated.gatun_sparse_params;
import dev.gatun.error.LlamaException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.kv.SparseAttention;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** What the attention of a context leaves out. Every method is called inside its guard. */
public final class NativeSparse {
  private NativeSparse() {}

  /**
   * What was met.
   *
   * @param rows queries of a head
   * @param attended cells that they met
   * @param visible cells that full attention would have met
   * @param measured rows that were measured
   * @param recall mean share of full attention that falls on the met cells; 0 when not measured
   * @param least smallest share of a row
   */
  public record Counts(
      long rows, long attended, long visible, long measured, double recall, double least) {}

  /**
   * Leaves keys out from the next decode on, in place of what was left out before.
   *
   * @param measure whether full attention is computed too, to tell how much of it falls on the met
   *     keys
   * @throws UnsupportedOperationForModelException if it cannot work in this context
   */
  public static void set(NativeContext context, SparseAttention sparse, boolean measure) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment p = call.allocate(gatun_sparse_params.BYTES, gatun_sparse_params.ALIGNMENT);
      gatun_sparse_params.measure(p, measure ? 1 : 0);
      gatun_sparse_params.kind(p, fill(sparse, p, call));
      ErrorBuffer error = context.error();
      int status = gatun_sparse_set(context.handle(), p, error.segment(), error.capacity());
      if (status == Status.INVALID_ARGUMENT) {
        throw new UnsupportedOperationForModelException(sparse.describe() + ": " + error.message());
      }
      Status.check("gatun_sparse_set", status, error, LlamaException::new);
    }
  }

  /**
   * Meets the cells of a sequence by position, wherever they lie, from the next decode on; or in
   * whatever order again. It is done by our own kernel.
   *
   * @return whether it can work in this context; if not, nothing is changed
   */
  public static boolean attendInOrder(NativeContext context, boolean on) {
    ErrorBuffer error = context.error();
    int status = gatun_attend_in_order(context.handle(), on, error.segment(), error.capacity());
    if (status == Status.INVALID_ARGUMENT) {
      return false;
    }
    Status.check("gatun_attend_in_order", status, error, LlamaException::new);
    return true;
  }

  private static int fill(SparseAttention sparse, MemorySegment p, Arena call) {
    return switch (sparse) {
      case SparseAttention.Full _ -> GATUN_SPARSE_NONE;
      case SparseAttention.Pages pages -> {
        gatun_sparse_params.budget_tokens(p, pages.budgetTokens());
        gatun_sparse_params.window(p, pages.recentTokens());
        gatun_sparse_params.sinks(p, pages.sinkTokens());
        gatun_sparse_params.max_tokens(p, pages.mostTokens());
        gatun_sparse_params.by_bound(p, pages.ranking() == SparseAttention.Ranking.BOUND ? 1 : 0);
        yield GATUN_SPARSE_PAGES;
      }
      case SparseAttention.LocalWindow(int window, int sinks) -> {
        gatun_sparse_params.window(p, window);
        gatun_sparse_params.sinks(p, sinks);
        yield GATUN_SPARSE_LOCAL;
      }
      case SparseAttention.Dilated(int window, int dilation) -> {
        gatun_sparse_params.window(p, window);
        gatun_sparse_params.stride(p, dilation);
        yield GATUN_SPARSE_DILATED;
      }
      case SparseAttention.Blocks(int block) -> {
        gatun_sparse_params.block(p, block);
        yield GATUN_SPARSE_BLOCKS;
      }
      case SparseAttention.Strided(int stride) -> {
        gatun_sparse_params.stride(p, stride);
        yield GATUN_SPARSE_STRIDED;
      }
      case SparseAttention.Longformer longformer -> {
        gatun_sparse_params.window(p, longformer.window());
        gatun_sparse_params.stride(p, longformer.dilation());
        int[] globals = longformer.globals().stream().mapToInt(Integer::intValue).toArray();
        gatun_sparse_params.globals(p, call.allocateFrom(ValueLayout.JAVA_INT, globals));
        gatun_sparse_params.n_globals(p, globals.length);
        yield GATUN_SPARSE_LONGFORMER;
      }
      case SparseAttention.BigBird bird -> {
        gatun_sparse_params.block(p, bird.block());
        gatun_sparse_params.window(p, bird.window());
        gatun_sparse_params.sinks(p, bird.globals());
        gatun_sparse_params.random(p, bird.random());
        gatun_sparse_params.seed(p, bird.seed());
        yield GATUN_SPARSE_BIG_BIRD;
      }
    };
  }

  /** Returns what was met since the last call, and begins to count anew. */
  public static Counts counts(NativeContext context) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(gatun_sparse_counts.BYTES, gatun_sparse_counts.ALIGNMENT);
      ErrorBuffer error = context.error();
      int status =
          gatun_sparse_read(context.handle(), true, out, error.segment(), error.capacity());
      Status.check("gatun_sparse_read", status, error, LlamaException::new);
      return new Counts(
          gatun_sparse_counts.rows(out),
          gatun_sparse_counts.attended(out),
          gatun_sparse_counts.visible(out),
          gatun_sparse_counts.measured(out),
          gatun_sparse_counts.recall(out),
          gatun_sparse_counts.least(out));
    }
  }

  /** Tells that cells got other keys than a decode wrote. */
  static void invalidate(NativeContext context) {
    gatun_pages_invalidate(context.handle());
  }
}
