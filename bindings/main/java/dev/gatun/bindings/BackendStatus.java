package dev.gatun.bindings;

import java.nio.file.Path;

/**
 * What became of one back-end module.
 *
 * <p>Immutable.
 *
 * @param name the back end: {@code cpu}, {@code vulkan}, {@code cuda}, {@code metal}, {@code rpc} …
 * @param path the module's file
 * @param state whether it was loaded
 * @param detail what a person should know: the reason of a failure, why it was not tried, or "" for
 *     a module that was loaded without anything to say
 */
public record BackendStatus(String name, Path path, State state, String detail) {
  /** Whether a module was loaded. */
  public enum State {
    /** In use. */
    LOADED,
    /** Tried, and refused by the system or by ggml; {@link BackendStatus#detail()} says why. */
    FAILED,
    /** Not tried: restricted by a setting, or loaded only when asked for. */
    SKIPPED
  }

  /** Returns whether the module is in use. */
  public boolean loaded() {
    return state == State.LOADED;
  }
}
