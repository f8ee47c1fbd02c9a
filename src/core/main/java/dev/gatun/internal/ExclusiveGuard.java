package dev.gatun.internal;

import dev.gatun.error.AlreadyClosedException;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Lets one thread at a time into an object, refuses a second one instead of making it wait, and
 * makes close wait for the running call.
 *
 * <p>Thread-safe.
 */
public final class ExclusiveGuard {
  private static final class Lock extends ReentrantLock {
    private static final long serialVersionUID = 1L;

    @Nullable Thread owner() {
      return getOwner();
    }
  }

  private final String name;
  private final Lock lock = new Lock();
  private volatile boolean closed;

  /**
   * Creates an open guard.
   *
   * @param name what is guarded, for messages
   */
  public ExclusiveGuard(String name) {
    this.name = name;
  }

  /**
   * Begins a call. Every successful call is followed by {@link #exit()}.
   *
   * @throws AlreadyClosedException if the guard is closed
   * @throws WrongThreadException if another thread is inside
   * @throws IllegalStateException if this thread is inside already, in a callback of the running
   *     call
   */
  public void enter() {
    if (closed) {
      throw closedException();
    }
    requireOutside("used");
    if (!lock.tryLock()) {
      if (closed) {
        throw closedException();
      }
      Thread owner = lock.owner();
      throw new WrongThreadException(
          name
              + " is in use by thread "
              + (owner == null ? "(just leaving)" : owner.getName())
              + "; drive a context by one thread at a time, or give each thread its own context");
    }
    if (closed) {
      lock.unlock();
      throw closedException();
    }
  }

  /**
   * Begins a call, waiting for the one that runs. For short calls that release something.
   *
   * @return whether the guard is open; when {@code false} nothing is held and {@link #exit()} must
   *     not be called
   * @throws IllegalStateException if this thread is inside already, in a callback of the running
   *     call
   */
  public boolean enterWaiting() {
    requireOutside("closed");
    lock.lock();
    if (closed) {
      lock.unlock();
      return false;
    }
    return true;
  }

  /**
   * Refuses a thread that is inside.
   *
   * @param what what must not be done there, such as {@code closed}
   * @throws IllegalStateException if this thread is inside, in a callback of the running call
   */
  public void requireOutside(String what) {
    if (lock.isHeldByCurrentThread()) {
      throw reentered(what);
    }
  }

  /** Ends a call. */
  public void exit() {
    lock.unlock();
  }

  /** Tells whether {@link #close} was called. */
  public boolean isClosed() {
    return closed;
  }

  /**
   * Refuses new calls, asks the running one to stop and waits for it.
   *
   * @param stop asks the running call to end early; runs before the wait
   * @return whether this call closed the guard; then, and only then, the caller frees the object
   * @throws IllegalStateException if this thread is inside, in a callback of the running call;
   *     nothing is closed
   */
  public boolean close(Runnable stop) {
    requireOutside("closed");
    synchronized (this) {
      if (closed) {
        return false;
      }
      closed = true;
    }
    stop.run();
    lock.lock();
    lock.unlock();
    return true;
  }

  private AlreadyClosedException closedException() {
    return new AlreadyClosedException(name + " is closed");
  }

  private IllegalStateException reentered(String what) {
    return new IllegalStateException(
        name + " must not be " + what + " from inside one of its own callbacks");
  }
}
