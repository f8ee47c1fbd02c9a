package dev.gatun.internal;

import dev.gatun.error.OperationCancelledException;
import java.util.function.Function;

/**
 * Turns the shim's status codes into typed errors. Source: the {@code GATUN_*} codes of {@code
 * gatun_shim.h}.
 */
public final class Status {
  /** The call succeeded. */
  public static final int OK = 0;

  /** A C++ exception was caught. */
  public static final int EXCEPTION = -1000;

  /** The llama.cpp call returned NULL, false or 0. */
  public static final int FAILED = -1001;

  /** Memory ran out. */
  public static final int OUT_OF_MEMORY = -1002;

  /** The shim refused an argument. */
  public static final int INVALID_ARGUMENT = -1003;

  /** A callback asked to stop. */
  public static final int CANCELLED = -1004;

  /** Too few free cells. */
  public static final int NO_ROOM = -1005;

  private Status() {}

  /**
   * Throws when a call did not succeed.
   *
   * @param call the C function, for the message
   * @param status what it returned
   * @param error the buffer it wrote into
   * @param factory makes the typed exception from the message
   */
  public static void check(
      String call,
      int status,
      ErrorBuffer error,
      Function<String, ? extends RuntimeException> factory) {
    if (status == OK) {
      return;
    }
    String detail = error.message();
    String name =
        switch (status) {
          case EXCEPTION -> "failed";
          case FAILED -> "failed";
          case OUT_OF_MEMORY -> "ran out of memory";
          case INVALID_ARGUMENT -> "refused its arguments";
          case CANCELLED -> "was cancelled";
          case NO_ROOM -> "found no room";
          default -> "returned " + status;
        };
    String message = call + " " + name + (detail.isEmpty() ? "" : ": " + detail);
    if (status == CANCELLED) {
      throw new OperationCancelledException(message);
    }
    throw factory.apply(message);
  }
}
