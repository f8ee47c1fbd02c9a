package dev.gatun.bindings;

import org.jspecify.annotations.Nullable;

/**
 * The native libraries cannot be found, opened or trusted.
 *
 * <p>Not seen by users: the layer above turns it into its own exception and keeps the text, which
 * says what to do next.
 */
public final class NativeLoadError extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Creates the error with its text. */
  public NativeLoadError(String message) {
    super(message);
  }

  /** Creates the error with its text and what led to it. */
  public NativeLoadError(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
