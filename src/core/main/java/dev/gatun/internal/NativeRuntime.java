package dev.gatun.internal;

import dev.gatun.bindings.NativeLibraries;
import dev.gatun.bindings.NativeLoadError;
import dev.gatun.error.NativeLibraryException;
import java.nio.file.Path;
import java.util.List;

/**
 * The native libraries of the process, with the log capture installed and the back ends loaded.
 * Thread-safe.
 */
public final class NativeRuntime {
  private final NativeLibraries libraries;

  private NativeRuntime(NativeLibraries libraries) {
    this.libraries = libraries;
  }

  /**
   * Loads everything.
   *
   * @throws NativeLibraryException if it cannot be done; the message says what to do
   */
  public static NativeRuntime load() {
    try {
      NativeLibraries libraries = NativeLibraries.load();
      NativeLog.install();
      libraries.loadBackends();
      NativeLog.drain();
      return new NativeRuntime(libraries);
    } catch (NativeLoadError e) {
      throw new NativeLibraryException(e.getMessage(), e);
    }
  }

  /** Returns the folder of the libraries. */
  public Path folder() {
    return libraries.folder();
  }

  /** Returns llama.cpp's release. */
  public String llamaVersion() {
    return libraries.llamaVersion();
  }

  /** Returns what became of every back-end module. */
  public List<Module> modules() {
    return libraries.backends().stream()
        .map(b -> new Module(b.name(), b.path(), b.loaded(), b.detail()))
        .toList();
  }

  /**
   * A back-end module.
   *
   * @param name its name
   * @param path its file
   * @param loaded whether it is in use
   * @param detail why it is not in use
   */
  public record Module(String name, Path path, boolean loaded, String detail) {}

  /** Returns a line for each library whose size or SHA-256 differs from its index. */
  public List<String> damagedLibraries() {
    return libraries.verify();
  }
}
