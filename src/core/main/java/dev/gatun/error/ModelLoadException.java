package dev.gatun.error;

/**
 * A model file could not be loaded: missing, not a model, of an unknown architecture, or too large
 * for the memory. All memory of the attempt is freed.
 */
public class ModelLoadException extends LlamaException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message what failed, with numbers, and what to do next
   */
  public ModelLoadException(String message) {
    super(message);
  }

  /**
   * Creates the exception with its cause.
   *
   * @param message what failed, with numbers, and what to do next
   * @param cause what made it fail
   */
  public ModelLoadException(String message, Throwable cause) {
    super(message, cause);
  }
}
