package dev.gatun.cli;

/**
 * One line on a terminal that shows how far a slow thing is. It appears only when the thing is
 * slow.
 */
final class ProgressBar implements AutoCloseable {
  private static final long PATIENCE_NANOS = 300_000_000;
  private static final long PERIOD_NANOS = 100_000_000;
  private static final int WIDTH = 30;

  private final Io io;
  private final String label;
  private long next = System.nanoTime() + PATIENCE_NANOS;
  private boolean shown;

  ProgressBar(Io io, String label) {
    this.io = io;
    this.label = label;
  }

  /** Shows how far it is, 0 to 1. Does nothing where no person reads. */
  void update(double fraction) {
    update(fraction, "");
  }

  /** Shows how far it is, 0 to 1, and a few words. Does nothing where no person reads. */
  void update(double fraction, String words) {
    if (!io.errTerminal() || System.nanoTime() - next < 0) {
      return;
    }
    next = System.nanoTime() + PERIOD_NANOS;
    shown = true;
    int done = (int) Math.round(Math.clamp(fraction, 0, 1) * WIDTH);
    io.err()
        .print(
            "\r\033[K"
                + label
                + " ["
                + "#".repeat(done)
                + " ".repeat(WIDTH - done)
                + "] "
                + Math.round(fraction * 100)
                + "%"
                + (words.isEmpty() ? "" : ", " + words));
    io.err().flush();
  }

  /** Takes the line away. */
  @Override
  public void close() {
    if (shown) {
      io.err().print("\r\033[K");
      io.err().flush();
    }
  }
}
