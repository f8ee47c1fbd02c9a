package dev.gatun.error;

/** A bounded queue is full. Try again later or elsewhere. */
public class OverloadedException extends LlamaException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message what failed, with numbers, and what to do next
   */
  public OverloadedException(String message) {
    super(message);
  }

  /**
   * Creates the exception with its cause.
   *
   * @param message what failed, with numbers, and what to do next
   * @param cause what made it fail
   */
  public OverloadedException(String message, Throwable cause) {
    super(message, cause);
  }
}
