package dev.gatun;

import java.util.concurrent.CopyOnWriteArrayList;

/**
 * A switch that ends an operation from another thread: a model load between tensors, a prefill
 * between graph nodes, a generation between tokens. Once cancelled it stays so; use a new one for
 * the next operation.
 */
@ThreadSafe
public final class Cancellation {
  private static final Cancellation NEVER = new Cancellation();

  private final CopyOnWriteArrayList<Runnable> listeners = new CopyOnWriteArrayList<>();
  private volatile boolean cancelled;

  private Cancellation() {}

  /** Returns a new switch, not cancelled. */
  public static Cancellation create() {
    return new Cancellation();
  }

  /** Returns the switch that is never cancelled: the default of options. */
  public static Cancellation never() {
    return NEVER;
  }

  /**
   * Cancels. Returns at once; the operation ends a moment later. Idempotent.
   *
   * @throws UnsupportedOperationException if this is {@link #never()}
   */
  public void cancel() {
    if (this == NEVER) {
      throw new UnsupportedOperationException(
          "Cancellation.never() cannot be cancelled; give the options a Cancellation.create()");
    }
    cancelled = true;
    for (Runnable listener : listeners) {
      listener.run();
    }
  }

  /** Tells whether {@link #cancel()} was called. */
  public boolean isCancelled() {
    return cancelled;
  }

  /** Runs {@code listener} on cancellation, at once if that has happened already, until removed. */
  void addListener(Runnable listener) {
    if (this == NEVER) {
      return;
    }
    listeners.add(listener);
    if (cancelled) {
      listener.run();
    }
  }

  void removeListener(Runnable listener) {
    if (this != NEVER) {
      listeners.remove(listener);
    }
  }
}
