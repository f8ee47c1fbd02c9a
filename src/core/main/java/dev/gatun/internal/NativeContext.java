package dev.gatun.internal;

import static dev.gatun.bindings.generated.gatun_shim_h.gatun_context_default_params;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_context_new;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_decode;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_interrupt_attach;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_rope_free;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_threadpools_attach;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_threadpools_free;
import static dev.gatun.bindings.generated.llama_h.llama_free;
import static dev.gatun.bindings.generated.llama_h.llama_get_logits_ith;
import static dev.gatun.bindings.generated.llama_h.llama_get_memory;
import static dev.gatun.bindings.generated.llama_h.llama_n_batch;
import static dev.gatun.bindings.generated.llama_h.llama_n_ctx;
import static dev.gatun.bindings.generated.llama_h.llama_n_ctx_seq;

import dev.gatun.bindings.Segments;
import dev.gatun.bindings.generated.CTypes;
import dev.gatun.bindings.generated.llama_batch;
import dev.gatun.bindings.generated.llama_context_params;
import dev.gatun.error.ContextCreateException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A {@code llama_context} with the buffers of its batch: they are allocated once and reused by
 * every decode.
 *
 * <p>Everything but {@link #guard()} and {@link #interrupt()} is used by the thread inside the
 * guard.
 */
public final class NativeContext {
  /** {@code llama_decode} found too few free cells; nothing was decoded. */
  public static final int NO_ROOM = 1;

  /** {@code llama_decode} was stopped by the interrupt. */
  public static final int STOPPED = 2;

  private final NativeModel model;
  private final Arena handleArena = Arena.ofShared();
  private final Arena bufferArena = Arena.ofShared();
  private final ExclusiveGuard guard;
  private final MemorySegment handle;
  private final MemorySegment memory;
  private MemorySegment ropeHandle = MemorySegment.NULL;
  private final Interrupt interrupt;
  private final ErrorBuffer error;
  private final MemorySegment batch;
  private final MemorySegment tokens;
  private final MemorySegment positions;
  private final MemorySegment sequences;
  private final MemorySegment outputs;
  private final int batchTokens;
  private final int contextTokens;
  private final int sequenceTokens;

  /**
   * Creates the context; it becomes one of the model's owners.
   *
   * @throws ContextCreateException if the native side refuses it
   */
  public NativeContext(NativeModel model, ContextParameters parameters, String name) {
    this.model = model;
    this.guard = new ExclusiveGuard(name);
    model.retain();
    try {
      model.guard().enter();
      try {
        error = new ErrorBuffer(bufferArena);
        interrupt = new Interrupt(bufferArena);
        handle = create(parameters);
      } finally {
        model.guard().exit();
      }
      memory = llama_get_memory(handle);
      batchTokens = llama_n_batch(handle);
      contextTokens = llama_n_ctx(handle);
      sequenceTokens = llama_n_ctx_seq(handle);
      tokens = bufferArena.allocate(ValueLayout.JAVA_INT, batchTokens);
      positions = bufferArena.allocate(ValueLayout.JAVA_INT, batchTokens);
      sequences = bufferArena.allocate(ValueLayout.JAVA_INT, batchTokens);
      outputs = bufferArena.allocate(ValueLayout.JAVA_BYTE, batchTokens);
      batch = newBatch();
    } catch (RuntimeException | Error e) {
      handleArena.close();
      bufferArena.close();
      model.release();
      throw e;
    }
  }

  private MemorySegment create(ContextParameters p) {
    MemorySegment created;
    try (Arena call = Arena.ofConfined()) {
      MemorySegment params =
          call.allocate(llama_context_params.BYTES, llama_context_params.ALIGNMENT);
      gatun_context_default_params(params);
      llama_context_params.n_ctx(params, p.contextTokens());
      llama_context_params.n_batch(params, p.batchTokens());
      llama_context_params.n_ubatch(params, p.microBatchTokens());
      llama_context_params.n_seq_max(params, p.maxSequences());
      llama_context_params.n_threads(params, p.threads());
      llama_context_params.n_threads_batch(params, p.batchThreads());
      llama_context_params.flash_attn_type(params, p.flashAttention());
      llama_context_params.type_k(params, p.keyType());
      llama_context_params.type_v(params, p.valueType());
      llama_context_params.offload_kqv(params, p.offloadKv());
      llama_context_params.swa_full(params, p.fullSlidingWindow());
      llama_context_params.kv_unified(params, p.unifiedKv());
      RopeParameters rope = p.rope();
      llama_context_params.rope_scaling_type(params, rope.type());
      llama_context_params.rope_freq_base(params, rope.frequencyBase());
      llama_context_params.rope_freq_scale(params, rope.frequencyScale());
      llama_context_params.yarn_ext_factor(params, rope.extrapolationFactor());
      llama_context_params.yarn_attn_factor(params, rope.attentionFactor());
      llama_context_params.yarn_beta_fast(params, rope.betaFast());
      llama_context_params.yarn_beta_slow(params, rope.betaSlow());
      llama_context_params.yarn_orig_ctx(params, rope.originalContextTokens());

      MemorySegment out = call.allocate(ValueLayout.ADDRESS);
      MemorySegment scaling =
          rope.hook().isPresent()
              ? NativeRope.create(rope.hook().get(), error)
              : MemorySegment.NULL;
      int status =
          gatun_context_new(
              model.handle(), params, scaling, out, error.segment(), error.capacity());
      NativeLog.drain();
      if (status != Status.OK) {
        gatun_rope_free(scaling);
      }
      Status.check("creating the context", status, error, ContextCreateException::new);
      created = CTypes.pointer(out, 0);

      status =
          gatun_threadpools_attach(
              created,
              p.threads(),
              p.batchThreads(),
              p.polling(),
              out,
              error.segment(),
              error.capacity());
      if (status != Status.OK) {
        llama_free(created);
        gatun_rope_free(scaling);
      }
      Status.check("creating the thread pools", status, error, ContextCreateException::new);
      MemorySegment pools = CTypes.pointer(out, 0);
      gatun_interrupt_attach(created, interrupt.cell());
      ropeHandle = scaling;
      return Segments.owned(
          created,
          handleArena,
          context -> {
            llama_free(context);
            gatun_threadpools_free(pools);
            gatun_rope_free(scaling);
          });
    }
  }

  private MemorySegment newBatch() {
    // Filled as arrays: thousands of single writes would be felt in a start.
    int[] ones = new int[batchTokens];
    long[] addresses = new long[batchTokens];
    for (int i = 0; i < batchTokens; i++) {
      ones[i] = 1;
      addresses[i] = sequences.address() + 4L * i;
    }
    MemorySegment counts = bufferArena.allocateFrom(ValueLayout.JAVA_INT, ones);
    MemorySegment pointers = bufferArena.allocateFrom(ValueLayout.JAVA_LONG, addresses);
    MemorySegment struct = bufferArena.allocate(llama_batch.BYTES, llama_batch.ALIGNMENT);
    llama_batch.token(struct, tokens);
    llama_batch.pos(struct, positions);
    llama_batch.n_seq_id(struct, counts);
    llama_batch.seq_id(struct, pointers);
    llama_batch.logits(struct, outputs);
    return struct;
  }

  /** Returns the guard of every call on this context. */
  public ExclusiveGuard guard() {
    return guard;
  }

  /** Returns the cell that stops a running decode. Any thread may use it. */
  public Interrupt interrupt() {
    return interrupt;
  }

  /** Returns the model. */
  public NativeModel model() {
    return model;
  }

  /** Returns the {@code llama_context}. */
  public MemorySegment handle() {
    return handle;
  }

  /** Returns the {@code llama_memory_t}. */
  public MemorySegment memory() {
    return memory;
  }

  /** Tells whether the model keeps a memory of the sequence; encoders do not. */
  public boolean hasMemory() {
    return memory.address() != 0;
  }

  /** Returns the buffer for messages of shim calls on this context. */
  public ErrorBuffer error() {
    return error;
  }

  /** Returns the most tokens in one decode. */
  public int batchTokens() {
    return batchTokens;
  }

  /** Returns the tokens that all sequences together can hold. */
  public int contextTokens() {
    return contextTokens;
  }

  /** Returns the tokens that one sequence can hold. */
  public int sequenceTokens() {
    return sequenceTokens;
  }

  /**
   * Writes one entry of the next batch.
   *
   * @param index 0 to {@link #batchTokens()} - 1
   * @param token token id, in the vocabulary's range
   * @param position position in the sequence
   * @param sequence sequence id
   * @param output whether logits are wanted
   */
  public void put(int index, int token, int position, int sequence, boolean output) {
    tokens.setAtIndex(ValueLayout.JAVA_INT, index, token);
    positions.setAtIndex(ValueLayout.JAVA_INT, index, position);
    sequences.setAtIndex(ValueLayout.JAVA_INT, index, sequence);
    outputs.set(ValueLayout.JAVA_BYTE, index, (byte) (output ? 1 : 0));
  }

  /**
   * Decodes the first entries of the batch.
   *
   * @param count number of entries, 1 to {@link #batchTokens()}
   * @return the code of {@code llama_decode} or of {@link Status}
   */
  public int decode(int count) {
    llama_batch.n_tokens(batch, count);
    int status = gatun_decode(handle, batch, error.segment(), error.capacity());
    if (status == STOPPED) {
      NativeLog.drainAfterStop();
    } else {
      NativeLog.drain();
    }
    return status;
  }

  /**
   * Changes the position scaling; the context was made with one of the same kind. Everything that
   * the memory holds must have been removed.
   */
  public void setRope(RopeHook hook) {
    NativeRope.set(ropeHandle, hook, error);
  }

  /**
   * Returns the logits of an output of the last decode, in place.
   *
   * @param index entry of the batch; -1 is the last output
   * @param vocabularySize number of tokens
   * @return float32, read-only, valid until the next decode
   */
  public MemorySegment logits(int index, int vocabularySize) {
    MemorySegment pointer = llama_get_logits_ith(handle, index);
    if (pointer.address() == 0) {
      throw new IllegalStateException("the last decode has no output " + index);
    }
    return Segments.sized(pointer, 4L * vocabularySize).asReadOnly();
  }

  /**
   * Stops the running call, waits for it and frees everything. Idempotent.
   *
   * @return whether this call closed it
   */
  public boolean close() {
    if (!guard.close(interrupt::stopAlways)) {
      return false;
    }
    handleArena.close();
    bufferArena.close();
    model.release();
    return true;
  }
}
