package dev.gatun.internal;

import dev.gatun.error.AlreadyClosedException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Lets any number of native calls on an object run together and makes its close wait for them.
 *
 * <p>Thread-safe. {@link #enter()} and {@link #exit()} cost one atomic operation each.
 */
public final class Guard {
  private static final int CLOSED = 1 << 30;

  private final String name;
  private final AtomicInteger state = new AtomicInteger();
  private volatile @Nullable Thread closer;

  /**
   * Creates an open guard.
   *
   * @param name what is guarded, for messages
   */
  public Guard(String name) {
    this.name = name;
  }

  /**
   * Begins a call. Every successful call is followed by {@link #exit()}.
   *
   * @throws AlreadyClosedException if the guard is closed
   */
  public void enter() {
    int before;
    do {
      before = state.get();
      if ((before & CLOSED) != 0) {
        throw new AlreadyClosedException(name + " is closed");
      }
    } while (!state.compareAndSet(before, before + 1));
  }

  /** Ends a call. */
  public void exit() {
    if (state.decrementAndGet() == CLOSED) {
      LockSupport.unpark(closer);
    }
  }

  /** Tells whether {@link #close()} was called. */
  public boolean isClosed() {
    return (state.get() & CLOSED) != 0;
  }

  /**
   * Refuses new calls and waits for the running ones. Must not be called from inside a guarded
   * call.
   *
   * @return whether this call closed the guard; then, and only then, the caller frees the object
   */
  public boolean close() {
    int before;
    do {
      before = state.get();
      if ((before & CLOSED) != 0) {
        return false;
      }
      closer = Thread.currentThread();
    } while (!state.compareAndSet(before, before | CLOSED));
    boolean interrupted = false;
    while (state.get() != CLOSED) {
      LockSupport.park(this);
      interrupted |= Thread.interrupted();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return true;
  }
}
