package dev.gatun;

import dev.gatun.internal.Interrupt;
import java.time.Duration;
import java.util.Optional;

/**
 * One run of a session that can be stopped: its cancellation and its deadline. Created by the
 * driving thread; {@link #cancel()} is for any thread.
 */
final class Operation {
  /** Never due. */
  private static final long NEVER = Long.MAX_VALUE;

  private final Cancellation cancellation;
  private final long dueNanos;
  private final Interrupt interrupt;
  private final Runnable listener = this::stop;
  private volatile boolean cancelled;

  Operation(Interrupt interrupt, Cancellation cancellation, Optional<Duration> deadline) {
    this.interrupt = interrupt;
    this.cancellation = cancellation;
    this.dueNanos = deadline.isPresent() ? saturatedDue(System.nanoTime(), deadline.get()) : NEVER;
  }

  private static long saturatedDue(long now, Duration time) {
    // A deadline of centuries is none.
    return time.compareTo(Duration.ofDays(365)) > 0 ? NEVER : now + time.toNanos();
  }

  /** Arms the native interrupt for the calls that follow. Inside the context's guard. */
  void begin() {
    long remaining = 0;
    if (dueNanos != NEVER) {
      remaining = Math.max(1, (dueNanos - System.nanoTime()) / 1000);
    }
    interrupt.begin(this, remaining);
    cancellation.addListener(listener);
    if (cancelled) {
      stop();
    }
  }

  /** Disarms it. */
  void end() {
    cancellation.removeListener(listener);
    interrupt.end();
  }

  void cancel() {
    cancelled = true;
    stop();
  }

  private void stop() {
    interrupt.stop(this);
  }

  boolean isCancelled() {
    return cancelled || cancellation.isCancelled();
  }

  boolean isOverdue() {
    return dueNanos != NEVER && System.nanoTime() - dueNanos >= 0;
  }

  boolean shouldStop() {
    return isCancelled() || isOverdue();
  }
}
