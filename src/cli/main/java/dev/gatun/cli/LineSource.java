package dev.gatun.cli;

import org.jspecify.annotations.Nullable;

/** Where the lines of a conversation come from. */
interface LineSource extends AutoCloseable {
  /** Something to run when the user interrupts while no line is being read. */
  interface OnInterrupt {
    void interrupted();
  }

  /**
   * Reads what the user says, which may be several lines.
   *
   * @return the text; empty when the user took it back with Ctrl-C; null at the end of the input
   */
  @Nullable String read();

  /** Says what Ctrl-C does while an answer comes. */
  void onInterrupt(OnInterrupt action);

  @Override
  void close();
}
