package dev.gatun.error;

/**
 * The native libraries are missing, do not fit this machine or this version, or may not be loaded.
 * Nothing native was changed; {@code gatun doctor} shows the whole picture.
 */
public class NativeLibraryException extends LlamaException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message what failed, with numbers, and what to do next
   */
  public NativeLibraryException(String message) {
    super(message);
  }

  /**
   * Creates the exception with its cause.
   *
   * @param message what failed, with numbers, and what to do next
   * @param cause what made it fail
   */
  public NativeLibraryException(String message, Throwable cause) {
    super(message, cause);
  }
}
