package dev.gatun.error;

/**
 * A function that the caller gave (a custom sampler, a progress listener) threw; {@link
 * #getCause()} is what it threw. The native call was ended in an orderly way.
 */
public class CallbackException extends LlamaException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message what failed, with numbers, and what to do next
   */
  public CallbackException(String message) {
    super(message);
  }

  /**
   * Creates the exception with its cause.
   *
   * @param message what failed, with numbers, and what to do next
   * @param cause what made it fail
   */
  public CallbackException(String message, Throwable cause) {
    super(message, cause);
  }
}
