package dev.gatun.error;

/**
 * The root of everything that Gatun throws of its own. Unchecked; one subclass for each thing a
 * caller would do differently. The message names the call, the code and the numbers, and says what
 * to do next.
 */
public class LlamaException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message what failed, with numbers, and what to do next
   */
  public LlamaException(String message) {
    super(message);
  }

  /**
   * Creates the exception with its cause.
   *
   * @param message what failed, with numbers, and what to do next
   * @param cause what made it fail
   */
  public LlamaException(String message, Throwable cause) {
    super(message, cause);
  }
}
