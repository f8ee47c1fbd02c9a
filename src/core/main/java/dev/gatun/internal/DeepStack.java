package dev.gatun.internal;

import dev.gatun.error.LlamaException;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Runs native code that calls itself once for each character or level of its input on a thread
 * whose stack is deep enough: a stack that overflows in native code ends the process. Only the part
 * of the stack that is used takes memory.
 */
final class DeepStack {
  private static final class Worker<T> implements Runnable {
    private final Supplier<T> work;
    private @Nullable T result;
    private @Nullable Throwable failure;

    Worker(Supplier<T> work) {
      this.work = work;
    }

    @Override
    public void run() {
      try {
        result = work.get();
      } catch (Throwable e) {
        failure = e;
      }
    }

    T outcome() {
      if (failure instanceof RuntimeException e) {
        throw e;
      }
      if (failure instanceof Error e) {
        throw e;
      }
      T value = result;
      if (value == null) {
        throw new AssertionError("no result");
      }
      return value;
    }
  }

  private DeepStack() {}

  /**
   * Runs the work and waits for it, also when this thread is interrupted; the interrupt stays.
   *
   * @param stackBytes size of the stack
   * @param work returns something
   * @throws LlamaException if the system has no room for such a thread
   */
  static <T> T call(long stackBytes, Supplier<T> work) {
    Worker<T> worker = new Worker<>(work);
    Thread thread = new Thread(null, worker, "gatun-deep-stack", stackBytes, false);
    thread.setDaemon(true);
    try {
      thread.start();
    } catch (OutOfMemoryError e) {
      throw new LlamaException(
          ("the system gives no thread with a stack of %,d bytes; give it more memory, or "
                  + "shorter input")
              .formatted(stackBytes),
          e);
    }
    boolean interrupted = false;
    while (true) {
      try {
        thread.join();
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return worker.outcome();
  }
}
