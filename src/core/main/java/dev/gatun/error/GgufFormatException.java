package dev.gatun.error;

/**
 * A file is not a GGUF file, is damaged or truncated, or holds values that no model can have. The
 * message says which key or offset.
 */
public class GgufFormatException extends LlamaException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message what failed, with numbers, and what to do next
   */
  public GgufFormatException(String message) {
    super(message);
  }

  /**
   * Creates the exception with its cause.
   *
   * @param message what failed, with numbers, and what to do next
   * @param cause what made it fail
   */
  public GgufFormatException(String message, Throwable cause) {
    super(message, cause);
  }
}
