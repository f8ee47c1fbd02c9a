package dev.gatun;

/**
 * Listens while a prompt is read. Called on the driving thread between batches; it must not use the
 * context.
 */
@FunctionalInterface
public interface PrefillProgress {
  /**
   * Tells how far the prefill is.
   *
   * @param doneTokens tokens read so far
   * @param totalTokens tokens of this prefill
   */
  void onProgress(int doneTokens, int totalTokens);
}
