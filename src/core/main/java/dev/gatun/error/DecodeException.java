package dev.gatun.error;

/**
 * A decode failed. The session holds what it held before the call unless the message says
 * otherwise.
 */
public class DecodeException extends LlamaException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message what failed, with numbers, and what to do next
   */
  public DecodeException(String message) {
    super(message);
  }

  /**
   * Creates the exception with its cause.
   *
   * @param message what failed, with numbers, and what to do next
   * @param cause what made it fail
   */
  public DecodeException(String message, Throwable cause) {
    super(message, cause);
  }
}
