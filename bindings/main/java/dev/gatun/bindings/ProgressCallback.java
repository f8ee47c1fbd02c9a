package dev.gatun.bindings;

import dev.gatun.bindings.generated.llama_progress_callback;
import java.lang.foreign.Arena;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A {@code llama_progress_callback} done in Java. What the Java side throws stays here, because an
 * exception that leaves an upcall ends the process; the native side is told to stop and the caller
 * asks for the failure afterwards.
 *
 * <p>Used by the thread that loads the model.
 */
public final class ProgressCallback {
  /** The Java side. */
  @FunctionalInterface
  public interface Listener {
    /**
     * Is told how far the load is.
     *
     * @param fraction 0 to 1
     * @return whether to go on
     */
    boolean onProgress(float fraction);
  }

  private final Listener listener;
  private @Nullable Throwable failure;

  private ProgressCallback(Listener listener) {
    this.listener = listener;
  }

  /** Returns a callback that asks {@code listener}. */
  public static ProgressCallback of(Listener listener) {
    return new ProgressCallback(listener);
  }

  /**
   * Returns the function pointer.
   *
   * @param arena owns it; it must outlive the native call
   */
  public MemorySegment pointer(Arena arena) {
    try {
      MethodHandle handle =
          MethodHandles.lookup()
              .findVirtual(
                  ProgressCallback.class,
                  "onProgress",
                  MethodType.methodType(boolean.class, float.class, MemorySegment.class))
              .bindTo(this);
      return Linker.nativeLinker().upcallStub(handle, llama_progress_callback.descriptor(), arena);
    } catch (ReflectiveOperationException e) {
      throw new AssertionError(e);
    }
  }

  /** Returns what the listener threw; empty when it did not. */
  public Optional<Throwable> failure() {
    return Optional.ofNullable(failure);
  }

  @SuppressWarnings("unused") // called from native code
  private boolean onProgress(float fraction, MemorySegment userData) {
    if (failure != null) {
      return false;
    }
    try {
      return listener.onProgress(fraction);
    } catch (Throwable e) {
      failure = e;
      return false;
    }
  }
}
