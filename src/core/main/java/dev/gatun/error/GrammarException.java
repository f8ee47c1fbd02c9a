package dev.gatun.error;

/**
 * A grammar or JSON schema does not parse, or a token was accepted that the grammar does not allow.
 */
public class GrammarException extends LlamaException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message what failed, with numbers, and what to do next
   */
  public GrammarException(String message) {
    super(message);
  }

  /**
   * Creates the exception with its cause.
   *
   * @param message what failed, with numbers, and what to do next
   * @param cause what made it fail
   */
  public GrammarException(String message, Throwable cause) {
    super(message, cause);
  }
}
