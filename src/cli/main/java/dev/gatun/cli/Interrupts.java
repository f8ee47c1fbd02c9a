package dev.gatun.cli;

import dev.gatun.Cancellation;

/**
 * Turns the end signals (Ctrl-C, TERM) into a cancellation, so that a command can print what it has
 * and close what it opened. The process ends when the command returns, or after a moment of
 * patience.
 */
final class Interrupts implements AutoCloseable {
  private static final long PATIENCE_MILLIS = 5_000;

  private final Cancellation cancellation;
  private final Thread hook;
  private volatile boolean closed;

  private Interrupts(Cancellation cancellation) {
    this.cancellation = cancellation;
    this.hook = new Thread(this::onShutdown, "gatun-interrupt");
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /** Cancels {@code cancellation} when the process is told to end. */
  static Interrupts cancelling(Cancellation cancellation) {
    return new Interrupts(cancellation);
  }

  private void onShutdown() {
    if (closed) {
      return;
    }
    cancellation.cancel();
    try {
      // The main thread halts the process as soon as the command has returned.
      Thread.sleep(PATIENCE_MILLIS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Stops listening. */
  @Override
  public void close() {
    if (cancellation.isCancelled()) {
      return; // the hook is running and holds the process for the main thread's last words
    }
    closed = true;
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The process is already ending.
    }
  }
}
