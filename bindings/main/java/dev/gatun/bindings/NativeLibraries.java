package dev.gatun.bindings;

import dev.gatun.bindings.generated.NativeSymbols;
import dev.gatun.bindings.generated.llama_h;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The native libraries of this process: found, checked and opened once, for its whole life.
 *
 * <p>They come from the folder that the system property {@code gatun.native.dir} or the environment
 * variable {@code GATUN_NATIVE_DIR} names, else from the {@code gatun-native} jars. The property
 * {@code gatun.backends} or the variable {@code GATUN_BACKENDS} restricts the GPU back ends, as in
 * {@code cpu,vulkan}.
 *
 * <p>Thread-safe.
 */
public final class NativeLibraries {
  private static final Object LOCK = new Object();
  private static @Nullable NativeLibraries loaded;

  private final NativeFolder folder;
  private final Backends backends;
  private boolean backendsLoaded;

  private NativeLibraries(NativeFolder folder, PlatformName platform) {
    this.folder = folder;
    this.backends = new Backends(folder, platform);
  }

  /**
   * Finds, opens and checks the libraries; later calls return the same object. A failed attempt may
   * be repeated.
   *
   * @throws NativeLoadError if native access is not granted, or the libraries are missing or do not
   *     fit
   */
  public static NativeLibraries load() {
    synchronized (LOCK) {
      if (loaded == null) {
        NativeAccess.require(NativeLibraries.class.getModule());
        PlatformName platform = PlatformName.current();
        NativeFolder folder = NativeFolder.locate(platform);
        LibrarySet libraries = LibrarySet.open(folder, platform);
        NativeSymbols.install(libraries);
        StartupCheck.run(libraries, folder);
        loaded = new NativeLibraries(folder, platform);
      }
      return loaded;
    }
  }

  /**
   * Loads the back ends, once. A GPU back end that does not load is remembered, and the CPU takes
   * its place.
   *
   * @throws NativeLoadError if no CPU back end runs on this machine
   */
  public void loadBackends() {
    synchronized (LOCK) {
      if (!backendsLoaded) {
        backends.load();
        backendsLoaded = true;
      }
    }
  }

  /**
   * Loads a back end that is loaded only when asked for.
   *
   * @param name its name, such as {@code rpc}
   * @throws NativeLoadError if it is not there or does not load
   */
  public void loadBackend(String name) {
    synchronized (LOCK) {
      backends.loadOnDemand(name);
    }
  }

  /** Returns what became of each back-end module. */
  public List<BackendStatus> backends() {
    synchronized (LOCK) {
      return backends.statuses();
    }
  }

  /** Returns the folder of the libraries. */
  public Path folder() {
    return folder.path();
  }

  /** Returns llama.cpp's own version text. */
  public String llamaVersion() {
    return Segments.utf8(llama_h.llama_version(), 256);
  }

  /**
   * Compares every file's size and SHA-256 with its index, and returns a line for each that
   * differs.
   */
  public List<String> verify() {
    return folder.problems();
  }
}
