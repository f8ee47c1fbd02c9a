package dev.gatun.error;

/**
 * The caller cancelled the operation, or its deadline passed, before it was complete. Nothing of it
 * remains.
 */
public class OperationCancelledException extends LlamaException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message what failed, with numbers, and what to do next
   */
  public OperationCancelledException(String message) {
    super(message);
  }

  /**
   * Creates the exception with its cause.
   *
   * @param message what failed, with numbers, and what to do next
   * @param cause what made it fail
   */
  public OperationCancelledException(String message, Throwable cause) {
    super(message, cause);
  }
}
