package dev.gatun;

/** Listens while a model is loading. Called on the loading thread. */
@FunctionalInterface
public interface LoadProgress {
  /**
   * Tells how far the load is.
   *
   * @param fraction 0 to 1
   * @return whether to go on; {@code false} ends the load with {@link
   *     dev.gatun.error.OperationCancelledException}
   */
  boolean onProgress(float fraction);
}
