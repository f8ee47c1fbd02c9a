package dev.gatun.error;

/** A chat template is missing, does not parse, or refused the messages. */
public class ChatTemplateException extends LlamaException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message what failed, with numbers, and what to do next
   */
  public ChatTemplateException(String message) {
    super(message);
  }

  /**
   * Creates the exception with its cause.
   *
   * @param message what failed, with numbers, and what to do next
   * @param cause what made it fail
   */
  public ChatTemplateException(String message, Throwable cause) {
    super(message, cause);
  }
}
