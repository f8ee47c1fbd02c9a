package dev.gatun.bindings;

import dev.gatun.bindings.generated.llama_h;
import dev.gatun.bindings.generated.llama_sampler_i;
import dev.gatun.bindings.generated.llama_token_data_array;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A {@code llama_sampler} whose work is done in Java. What the Java side throws stays here, because
 * an exception that leaves an upcall ends the process; the caller asks for it after the native
 * call.
 *
 * <p>Used by one thread at a time, the one that calls the native sampler.
 */
public final class SamplerCallbacks {
  /** The Java side of a sampler. */
  public interface Work {
    /**
     * Changes the candidates.
     *
     * @param candidates the {@code llama_token_data_array}, valid during the call
     */
    void apply(MemorySegment candidates);

    /** Is told which token was chosen. */
    void accept(int token);

    /** Starts anew. */
    void reset();
  }

  private static final MemorySegment NAME = Arena.global().allocateFrom("java");

  private final Work work;
  private @Nullable Throwable failure;

  private SamplerCallbacks(Work work) {
    this.work = work;
  }

  /**
   * Makes the upcalls.
   *
   * @param work what they do
   * @return the callbacks; {@link #newSampler} makes the native object
   */
  public static SamplerCallbacks of(Work work) {
    return new SamplerCallbacks(work);
  }

  /**
   * Makes the {@code llama_sampler}. It is freed by {@code llama_sampler_free}, also as a part of a
   * chain.
   *
   * @param arena owns the upcalls; it must outlive the sampler
   */
  public MemorySegment newSampler(Arena arena) {
    MemorySegment table = arena.allocate(llama_sampler_i.BYTES, llama_sampler_i.ALIGNMENT);
    // llama.cpp calls this one without asking whether it is there, for its warnings.
    llama_sampler_i.name(
        table,
        stub(
            "onName",
            llama_sampler_i.name.descriptor(),
            MethodType.methodType(MemorySegment.class, MemorySegment.class),
            arena));
    llama_sampler_i.apply(
        table,
        stub(
            "onApply",
            llama_sampler_i.apply.descriptor(),
            MethodType.methodType(void.class, MemorySegment.class, MemorySegment.class),
            arena));
    llama_sampler_i.accept(
        table,
        stub(
            "onAccept",
            llama_sampler_i.accept.descriptor(),
            MethodType.methodType(void.class, MemorySegment.class, int.class),
            arena));
    llama_sampler_i.reset(
        table,
        stub(
            "onReset",
            llama_sampler_i.reset.descriptor(),
            MethodType.methodType(void.class, MemorySegment.class),
            arena));
    return llama_h.llama_sampler_init(table, MemorySegment.NULL);
  }

  /** Returns what the Java side threw since the last call, and forgets it. */
  public Optional<Throwable> takeFailure() {
    Throwable thrown = failure;
    failure = null;
    return Optional.ofNullable(thrown);
  }

  private MemorySegment stub(
      String method, FunctionDescriptor descriptor, MethodType type, Arena arena) {
    try {
      MethodHandle handle =
          MethodHandles.lookup().findVirtual(SamplerCallbacks.class, method, type).bindTo(this);
      return Linker.nativeLinker().upcallStub(handle, descriptor, arena);
    } catch (ReflectiveOperationException e) {
      throw new AssertionError(e);
    }
  }

  @SuppressWarnings("unused")
  private MemorySegment onName(MemorySegment sampler) {
    return NAME;
  }

  @SuppressWarnings("unused")
  private void onApply(MemorySegment sampler, MemorySegment candidates) {
    try {
      work.apply(candidates.reinterpret(llama_token_data_array.BYTES));
    } catch (Throwable e) {
      remember(e);
    }
  }

  @SuppressWarnings("unused")
  private void onAccept(MemorySegment sampler, int token) {
    try {
      work.accept(token);
    } catch (Throwable e) {
      remember(e);
    }
  }

  @SuppressWarnings("unused")
  private void onReset(MemorySegment sampler) {
    try {
      work.reset();
    } catch (Throwable e) {
      remember(e);
    }
  }

  private void remember(Throwable e) {
    if (failure == null) {
      failure = e;
    }
  }
}
