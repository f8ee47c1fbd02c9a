package dev.gatun.error;

/** A saved state is of another model, version or setting, or is damaged. */
public class StateFormatException extends LlamaException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message what failed, with numbers, and what to do next
   */
  public StateFormatException(String message) {
    super(message);
  }

  /**
   * Creates the exception with its cause.
   *
   * @param message what failed, with numbers, and what to do next
   * @param cause what made it fail
   */
  public StateFormatException(String message, Throwable cause) {
    super(message, cause);
  }
}
