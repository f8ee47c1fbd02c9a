package dev.gatun.eval;

/** Is told how far a {@link RopeSearch} is. Runs on its thread. */
@FunctionalInterface
public interface RopeSearchListener {
  /** Takes the state of the search, several times for each table that is tried. */
  void onProgress(RopeSearchProgress progress);
}
