package dev.gatun.cli;

import dev.gatun.Cancellation;
import java.time.Duration;
import java.util.Optional;

/** The time of {@code --timeout}, for what has no deadline of its own. */
final class TimeLimit implements AutoCloseable {
  private final Optional<Duration> limit;
  private final long start = System.nanoTime();
  private final Thread watch;
  private volatile boolean over;

  private TimeLimit(Optional<Duration> limit, Cancellation cancellation) {
    this.limit = limit;
    this.watch =
        Thread.ofPlatform()
            .name("gatun-timeout")
            .daemon()
            .unstarted(
                () -> {
                  try {
                    Thread.sleep(limit.orElseThrow());
                    over = true;
                    cancellation.cancel();
                  } catch (InterruptedException e) {
                    // Closed: it was done in time.
                  }
                });
    if (limit.isPresent()) {
      watch.start();
    }
  }

  /** Begins; cancels when the time is over, if there is a limit. */
  static TimeLimit of(Optional<Duration> limit, Cancellation cancellation) {
    return new TimeLimit(limit, cancellation);
  }

  /** Tells whether the time is over. */
  boolean isOver() {
    return over;
  }

  /** Returns what is left of the time, at least a millisecond; empty without a limit. */
  Optional<Duration> left() {
    return limit.map(
        time -> {
          Duration rest = time.minusNanos(System.nanoTime() - start);
          return rest.compareTo(Duration.ofMillis(1)) < 0 ? Duration.ofMillis(1) : rest;
        });
  }

  /** Ends the watch; from here on nothing is cancelled. */
  @Override
  public void close() {
    watch.interrupt();
    try {
      watch.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
