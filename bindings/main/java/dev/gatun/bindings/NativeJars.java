package dev.gatun.bindings;

import java.io.IOException;
import java.io.InputStream;
import java.net.URL;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * Unpacks the libraries that jars carry into a folder of the user's cache, once.
 *
 * <p>The folder's name is a hash of the indexes, so that versions live beside each other. It
 * appears by one rename when all of its files are there and have the right hashes; a lock file lets
 * two JVMs start at once. Later starts compare names and sizes only.
 */
final class NativeJars {
  static final String ROOT = "dev/gatun/natives/";

  /** Every component there may be. A class loader cannot list resources, so they are asked for. */
  private static final List<String> COMPONENTS =
      List.of("core", "vulkan", "cuda", "metal", "hip", "sycl", "opencl");

  private NativeJars() {}

  private record Component(URL index, NativeIndex content, String text) {
    String indexName() {
      String name = index.toString();
      return name.substring(name.lastIndexOf('/') + 1);
    }

    URL file(String name) throws IOException {
      String base = index.toString();
      return java.net.URI.create(base.substring(0, base.lastIndexOf('/') + 1) + name).toURL();
    }
  }

  /** Returns the unpacked folder, unpacking first where necessary. */
  static NativeFolder unpacked(PlatformName platform, Path cache) {
    return unpacked(platform, cache, loader());
  }

  private static ClassLoader loader() {
    ClassLoader own = NativeJars.class.getClassLoader();
    return own == null ? ClassLoader.getSystemClassLoader() : own;
  }

  static NativeFolder unpacked(PlatformName platform, Path cache, ClassLoader loader) {
    try {
      var components = find(platform, loader);
      if (components.isEmpty()) {
        throw new NativeLoadError(
            "No native libraries for "
                + platform
                + ": put the jar gatun-native with the classifier "
                + platform
                + " on the class path, or build them (cmake -P native/build.cmake) and name their"
                + " folder in -D"
                + NativeFolder.PROPERTY
                + " or "
                + NativeFolder.VARIABLE);
      }
      return unpack(platform, cache.resolve("natives"), components);
    } catch (IOException e) {
      throw new NativeLoadError(
          "The native libraries cannot be unpacked into "
              + cache
              + ": "
              + e
              + "; free some space or name another folder in -Dgatun.cache.dir or GATUN_CACHE_DIR",
          e);
    }
  }

  private static List<Component> find(PlatformName platform, ClassLoader loader)
      throws IOException {
    var found = new ArrayList<Component>();
    for (String name : COMPONENTS) {
      URL url = loader.getResource(ROOT + platform + "/" + name + NativeIndex.SUFFIX);
      if (url != null) {
        try (InputStream in = url.openStream()) {
          String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
          found.add(new Component(url, NativeIndex.parse(url.toString(), text), text));
        }
      }
    }
    return found;
  }

  private static NativeFolder unpack(PlatformName platform, Path root, List<Component> components)
      throws IOException {
    MessageDigest key = NativeFolder.sha256();
    for (Component component : components) {
      key.update(NativeFolder.bytes(component.text()));
    }
    String name = platform + "-" + NativeFolder.hex(key.digest()).substring(0, 16);
    Path target = root.resolve(name);
    if (complete(target, components)) {
      return NativeFolder.open(target, platform);
    }
    Files.createDirectories(root);
    try (FileChannel channel =
            FileChannel.open(
                root.resolve(name + ".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        FileLock lock = lock(channel)) {
      if (lock.isValid() && !complete(target, components)) {
        deleteLeftovers(root, name);
        Path temporary = root.resolve(name + ".tmp-" + ProcessHandle.current().pid());
        Files.createDirectories(temporary);
        for (Component component : components) {
          for (NativeIndex.Entry entry : component.content().entries()) {
            copy(component, entry, temporary);
          }
          Files.writeString(temporary.resolve(component.indexName()), component.text());
        }
        if (Files.exists(target)) {
          // Somebody removed or cut files of a finished folder. Replace it as a whole.
          Path old = root.resolve(name + ".tmp-old-" + ProcessHandle.current().pid());
          Files.move(target, old);
          delete(old);
        }
        publish(temporary, target);
      }
    }
    return NativeFolder.open(target, platform);
  }

  private static void publish(Path temporary, Path target) throws IOException {
    try {
      Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
    } catch (AtomicMoveNotSupportedException e) {
      Files.move(temporary, target);
    }
  }

  /** Another class loader of this JVM may hold the lock, which the system then reports at once. */
  private static FileLock lock(FileChannel channel) throws IOException {
    while (true) {
      try {
        return channel.lock();
      } catch (OverlappingFileLockException e) {
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
      }
    }
  }

  private static boolean complete(Path target, List<Component> components) throws IOException {
    if (!Files.isDirectory(target)) {
      return false;
    }
    for (Component component : components) {
      long indexBytes = NativeFolder.bytes(component.text()).length;
      if (!hasSize(target.resolve(component.indexName()), indexBytes)) {
        return false;
      }
      for (NativeIndex.Entry entry : component.content().entries()) {
        if (!hasSize(target.resolve(entry.file()), entry.bytes())) {
          return false;
        }
      }
    }
    return true;
  }

  private static boolean hasSize(Path file, long bytes) throws IOException {
    return Files.isRegularFile(file) && Files.size(file) == bytes;
  }

  private static void copy(Component component, NativeIndex.Entry entry, Path folder)
      throws IOException {
    MessageDigest digest = NativeFolder.sha256();
    long bytes = 0;
    try (InputStream in = component.file(entry.file()).openStream();
        var out = Files.newOutputStream(folder.resolve(entry.file()))) {
      byte[] buffer = new byte[1 << 16];
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        digest.update(buffer, 0, n);
        out.write(buffer, 0, n);
        bytes += n;
      }
    } catch (java.io.FileNotFoundException e) {
      throw new NativeLoadError(
          entry.file() + " is missing from the jar of " + component.index() + "; download it again",
          e);
    }
    String actual = NativeFolder.hex(digest.digest());
    if (bytes != entry.bytes() || !actual.equals(entry.sha256())) {
      delete(folder);
      throw new NativeLoadError(
          "%s in the jar of %s is damaged: %,d bytes with SHA-256 %s, and the index says %,d and %s;"
                  .formatted(
                      entry.file(), component.index(), bytes, actual, entry.bytes(), entry.sha256())
              + " download the jar again");
    }
  }

  /** Removes what JVMs that died while unpacking have left. Called under the lock. */
  private static void deleteLeftovers(Path root, String name) throws IOException {
    try (var listing = Files.newDirectoryStream(root, name + ".tmp-*")) {
      for (Path path : listing) {
        delete(path);
      }
    }
  }

  private static void delete(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      return;
    }
    try (var listing = Files.newDirectoryStream(folder)) {
      for (Path path : listing) {
        Files.deleteIfExists(path);
      }
    }
    Files.deleteIfExists(folder);
  }
}
