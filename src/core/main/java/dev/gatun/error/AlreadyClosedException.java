package dev.gatun.error;

/** The object, or the one it belongs to, was closed. */
public class AlreadyClosedException extends IllegalStateException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message what failed, with numbers, and what to do next
   */
  public AlreadyClosedException(String message) {
    super(message);
  }

  /**
   * Creates the exception with its cause.
   *
   * @param message what failed, with numbers, and what to do next
   * @param cause what made it fail
   */
  public AlreadyClosedException(String message, Throwable cause) {
    super(message, cause);
  }
}
