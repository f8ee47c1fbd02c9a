package dev.gatun;

import dev.gatun.kv.CheckpointOptions;
import dev.gatun.kv.OverflowListener;
import dev.gatun.kv.OverflowPolicy;
import java.util.OptionalInt;

/**
 * How a session uses the KV cells.
 *
 * @param overflow what happens when there is no room for the next token
 * @param budgetTokens cells that the session may use at most; empty: as many as a sequence of the
 *     context can hold
 * @param overflowListener is told of everything that is dropped
 * @param checkpoints when a model that cannot be cut back keeps earlier states of itself
 */
public record SessionOptions(
    OverflowPolicy overflow,
    OptionalInt budgetTokens,
    OverflowListener overflowListener,
    CheckpointOptions checkpoints) {
  private static final SessionOptions DEFAULTS =
      new SessionOptions(
          OverflowPolicy.fail(),
          OptionalInt.empty(),
          OverflowListener.none(),
          CheckpointOptions.manual());

  /** Checks the budget. */
  public SessionOptions {
    if (budgetTokens.isPresent() && budgetTokens.getAsInt() < 2) {
      throw new IllegalArgumentException(
          "a session needs a budget of at least 2 tokens, but has " + budgetTokens.getAsInt());
    }
  }

  /** Returns the defaults: all cells of a sequence, and an error when they are used up. */
  public static SessionOptions defaults() {
    return DEFAULTS;
  }

  /** Returns a copy with another {@link #overflow()}. */
  public SessionOptions withOverflow(OverflowPolicy value) {
    return new SessionOptions(value, budgetTokens, overflowListener, checkpoints);
  }

  /** Returns a copy with another {@link #budgetTokens()}. */
  public SessionOptions withBudgetTokens(int value) {
    return new SessionOptions(overflow, OptionalInt.of(value), overflowListener, checkpoints);
  }

  /** Returns a copy with another {@link #overflowListener()}. */
  public SessionOptions withOverflowListener(OverflowListener value) {
    return new SessionOptions(overflow, budgetTokens, value, checkpoints);
  }

  /** Returns a copy with other {@link #checkpoints()}. */
  public SessionOptions withCheckpoints(CheckpointOptions value) {
    return new SessionOptions(overflow, budgetTokens, overflowListener, value);
  }
}
