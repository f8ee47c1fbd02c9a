package dev.gatun;

import dev.gatun.error.NativeLibraryException;
import dev.gatun.internal.Devices;
import dev.gatun.internal.NativeRuntime;
import dev.gatun.offload.Device;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The native libraries of this process and the devices they found. There is one; it lives as long
 * as the process.
 *
 * <p>Reading a file with {@link dev.gatun.gguf} needs no runtime.
 */
@ThreadSafe
public final class LlamaRuntime {
  private static final Object LOCK = new Object();
  private static volatile @Nullable LlamaRuntime instance;

  private final NativeRuntime libraries;

  private LlamaRuntime(NativeRuntime libraries) {
    this.libraries = libraries;
  }

  /**
   * Loads the native libraries and the back ends of this machine, once; later calls return the same
   * runtime.
   *
   * <p>The libraries come from the folder that the system property {@code gatun.native.dir} or the
   * environment variable {@code GATUN_NATIVE_DIR} names, else from a {@code gatun-native} jar on
   * the class or module path.
   *
   * @throws NativeLibraryException if the libraries are missing, do not fit, or native access is
   *     not granted
   */
  public static LlamaRuntime load() {
    LlamaRuntime loaded = instance;
    if (loaded == null) {
      synchronized (LOCK) {
        loaded = instance;
        if (loaded == null) {
          loaded = new LlamaRuntime(NativeRuntime.load());
          instance = loaded;
        }
      }
    }
    return loaded;
  }

  /** Returns the release of llama.cpp, such as {@code v0.5.0}. */
  public String llamaVersion() {
    return libraries.llamaVersion();
  }

  /** Returns the folder that the libraries were loaded from. */
  public Path nativeFolder() {
    return libraries.folder();
  }

  /** Returns every back end that was found, with the reason for each that did not load. */
  public List<Backend> backends() {
    return libraries.modules().stream()
        .map(b -> new Backend(b.name(), b.path(), b.loaded(), b.detail()))
        .toList();
  }

  /**
   * Reads every native library and compares it with the SHA-256 that the build wrote beside it.
   *
   * @return a line for each file that differs; empty when all are as they were built
   */
  public List<String> damagedLibraries() {
    return libraries.damagedLibraries();
  }

  /**
   * Returns the devices of the loaded back ends, in the order llama.cpp uses them. Asks each device
   * for its free memory.
   */
  public List<Device> devices() {
    return Devices.list();
  }

  /**
   * A back-end module.
   *
   * @param name its name, such as {@code cpu-zen4}, {@code rpc}, {@code cuda}
   * @param path its file
   * @param loaded whether it is in use
   * @param detail why it is not in use; empty when there is nothing to say
   */
  public record Backend(String name, Path path, boolean loaded, String detail) {}
}
