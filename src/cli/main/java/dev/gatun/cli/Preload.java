package dev.gatun.cli;

import dev.gatun.LlamaRuntime;

/**
 * Loads the native libraries beside the reading of the prompt and of the model's header: two things
 * that take about the same time and need nothing of each other.
 */
final class Preload {
  private Preload() {}

  static void start() {
    Thread thread = new Thread(Preload::load, "gatun-preload");
    thread.setDaemon(true);
    thread.start();
  }

  private static void load() {
    try {
      LlamaRuntime.load();
    } catch (RuntimeException | LinkageError e) {
      // Whoever needs the runtime asks for it again and gets this very failure.
    }
  }
}
