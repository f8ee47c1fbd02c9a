package dev.gatun;

import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.internal.NativeContext;
import dev.gatun.internal.NativeSparse;

/**
 * Which kernel computes the attention of a context on plain positions: ggml's, or our own, which
 * can meet the cells by position and leave some out. Inside the context's guard.
 */
final class AttentionKernel {
  /** Queries that ggml's kernel computes together on the processor; fewer go one by one. */
  static final int QUERY_TILE = 64;

  private static final int FEW_TOKENS = 4;
  private static final int MANY_CELLS = 1024;

  private final NativeContext context;
  private final int microBatch;
  private final boolean inOrder;

  /** Whether few tokens were read last. */
  private boolean ours;

  private AttentionKernel(NativeContext context, int microBatch, boolean inOrder) {
    this.context = context;
    this.microBatch = microBatch;
    this.inOrder = inOrder;
  }

  /**
   * Sets a context up as its options say.
   *
   * @param microBatch tokens that it computes at once
   * @throws UnsupportedOperationForModelException if that cannot work in the context
   */
  static AttentionKernel of(
      LlamaModel model, ContextOptions options, NativeContext context, int microBatch) {
    ContextChecks.requireOwnKernel(model, options);
    boolean inOrder = options.reproducible() && !model.isRecurrent();
    if (!options.sparseAttention().isFull()) {
      NativeSparse.set(context, options.sparseAttention(), false);
    }
    if (inOrder && !NativeSparse.attendInOrder(context, true)) {
      throw new UnsupportedOperationForModelException(
          "a reproducible context: %s; make it withReproducible(false)"
              .formatted(context.error().message()));
    }
    return new AttentionKernel(context, microBatch, inOrder);
  }

  /**
   * Returns how many tokens the next decode may have, at most as many as asked: a last micro batch
   * of few tokens is a decode of its own, so that it is computed alike whatever was read with it.
   *
   * @param behind tokens of the sequence that are before them
   */
  int step(int tokens, int behind) {
    int last = tokens % microBatch;
    return last < tokens && isFew(last, behind + tokens - last) ? tokens - last : tokens;
  }

  /**
   * Chooses for the next decode. A few tokens behind many cells, such as the next question in a
   * long conversation, are computed by our own kernel, where there is one.
   *
   * @param tokens of the decode
   * @param behind tokens of the sequence that are before them
   */
  void choose(int tokens, int behind) {
    boolean few = isFew(tokens, behind);
    if (few != ours && !inOrder && NativeSparse.attendInOrder(context, few)) {
      ours = few;
    }
  }

  private boolean isFew(int tokens, int behind) {
    int most = Math.min(QUERY_TILE, microBatch) - 1;
    return tokens >= FEW_TOKENS && tokens <= most && behind >= MANY_CELLS;
  }
}
