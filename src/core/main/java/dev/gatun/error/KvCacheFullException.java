package dev.gatun.error;

/**
 * There are not enough free KV cells for the tokens. The session holds what it held before the
 * call.
 */
public class KvCacheFullException extends DecodeException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message what failed, with numbers, and what to do next
   */
  public KvCacheFullException(String message) {
    super(message);
  }

  /**
   * Creates the exception with its cause.
   *
   * @param message what failed, with numbers, and what to do next
   * @param cause what made it fail
   */
  public KvCacheFullException(String message, Throwable cause) {
    super(message, cause);
  }
}
