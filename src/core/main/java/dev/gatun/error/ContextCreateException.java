package dev.gatun.error;

/**
 * A context could not be created: the options contradict each other or the model, or the memory is
 * not there.
 */
public class ContextCreateException extends LlamaException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message what failed, with numbers, and what to do next
   */
  public ContextCreateException(String message) {
    super(message);
  }

  /**
   * Creates the exception with its cause.
   *
   * @param message what failed, with numbers, and what to do next
   * @param cause what made it fail
   */
  public ContextCreateException(String message, Throwable cause) {
    super(message, cause);
  }
}
