package dev.gatun.error;

/**
 * The model, or the context as it was made, cannot do what was asked; the native side would have
 * aborted the process or given a wrong result.
 */
public class UnsupportedOperationForModelException extends LlamaException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message what failed, with numbers, and what to do next
   */
  public UnsupportedOperationForModelException(String message) {
    super(message);
  }

  /**
   * Creates the exception with its cause.
   *
   * @param message what failed, with numbers, and what to do next
   * @param cause what made it fail
   */
  public UnsupportedOperationForModelException(String message, Throwable cause) {
    super(message, cause);
  }
}
