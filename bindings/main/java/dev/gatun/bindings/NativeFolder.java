package dev.gatun.bindings;

import dev.gatun.bindings.generated.Pin;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;

/**
 * A flat folder of native libraries and what its indexes say about it.
 *
 * @param path the folder, absolute
 * @param indexes one for each component; empty for a folder somebody made by hand
 * @param files the plain names of the libraries, in dependency order where an index gives one
 */
record NativeFolder(Path path, List<NativeIndex> indexes, List<String> files) {
  static final String PROPERTY = "gatun.native.dir";
  static final String VARIABLE = "GATUN_NATIVE_DIR";

  private static final String CORE = "core" + NativeIndex.SUFFIX;

  NativeFolder {
    indexes = List.copyOf(indexes);
    files = List.copyOf(files);
  }

  /**
   * Finds the folder to load from: the one that is named by property or environment, used in place,
   * or else what the jars carry, unpacked into the user's cache.
   */
  static NativeFolder locate(PlatformName platform) {
    String set = Settings.value(PROPERTY, VARIABLE);
    return set.isEmpty()
        ? NativeJars.unpacked(platform, UserCache.folder())
        : open(Path.of(set), platform);
  }

  /** Looks at a folder and compares names and sizes with its indexes; reads no library. */
  static NativeFolder open(Path given, PlatformName platform) {
    Path path = given.toAbsolutePath().normalize();
    var indexes = new ArrayList<NativeIndex>();
    var indexNames = new ArrayList<String>();
    var files = new ArrayList<String>();
    try (var listing = Files.newDirectoryStream(path)) {
      for (Path file : listing) {
        String name = file.getFileName().toString();
        if (name.endsWith(NativeIndex.SUFFIX)) {
          indexNames.add(name);
        } else if (!platform.libraryOf(name).isEmpty()) {
          files.add(name);
        }
      }
      // A folder lists its files in any order, and the order of loading is the order of the
      // devices.
      Collections.sort(indexNames);
      Collections.sort(files);
      if (indexNames.remove(CORE)) {
        indexNames.addFirst(CORE);
      }
      for (String name : indexNames) {
        Path index = path.resolve(name);
        indexes.add(NativeIndex.parse(index.toString(), Files.readString(index)));
      }
    } catch (NoSuchFileException | NotDirectoryException e) {
      throw new NativeLoadError(
          path
              + " is not a folder. Build the native libraries (cmake -P native/build.cmake) or name"
              + " their folder in -D"
              + PROPERTY
              + " or "
              + VARIABLE,
          e);
    } catch (IOException e) {
      throw new NativeLoadError(path + " cannot be read: " + e, e);
    }
    if (!indexes.isEmpty()) {
      files.clear();
      for (NativeIndex index : indexes) {
        check(index, path, platform);
        for (NativeIndex.Entry entry : index.entries()) {
          if (!platform.libraryOf(entry.file()).isEmpty()) {
            files.add(entry.file());
          }
        }
      }
    }
    return new NativeFolder(path, indexes, files);
  }

  private static void check(NativeIndex index, Path path, PlatformName platform) {
    if (!index.platform().equals(platform.toString())) {
      throw new NativeLoadError(
          "%s holds libraries for %s, and this JVM runs on %s; take the natives for %s"
              .formatted(path, index.platform(), platform, platform));
    }
    if (!index.tree().equals(Pin.TREE)) {
      throw new NativeLoadError(
          "%s was built from llama.cpp %s (tree %s), and this version of Gatun needs %s (tree %s);"
                  .formatted(path, index.tag(), index.tree(), Pin.TAG, Pin.TREE)
              + " build or download the natives of this version");
    }
    for (NativeIndex.Entry entry : index.entries()) {
      String problem = sizeProblem(path, entry);
      if (!problem.isEmpty()) {
        throw new NativeLoadError(problem + "; build the natives again or download them again");
      }
    }
  }

  private static String sizeProblem(Path folder, NativeIndex.Entry entry) {
    long size;
    try {
      size = Files.size(folder.resolve(entry.file()));
    } catch (IOException e) {
      return entry.file() + " is missing from " + folder;
    }
    return size == entry.bytes()
        ? ""
        : "%s in %s has %,d bytes and its index says %,d"
            .formatted(entry.file(), folder, size, entry.bytes());
  }

  /** Hashes every file; one line for each that is wrong. */
  List<String> problems() {
    var problems = new ArrayList<String>();
    for (NativeIndex index : indexes) {
      for (NativeIndex.Entry entry : index.entries()) {
        String problem = sizeProblem(path, entry);
        if (problem.isEmpty()) {
          problem = hashProblem(entry);
        }
        if (!problem.isEmpty()) {
          problems.add(problem);
        }
      }
    }
    return problems;
  }

  private String hashProblem(NativeIndex.Entry entry) {
    try (InputStream in = Files.newInputStream(path.resolve(entry.file()))) {
      MessageDigest digest = sha256();
      byte[] buffer = new byte[1 << 16];
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        digest.update(buffer, 0, n);
      }
      String actual = hex(digest.digest());
      return actual.equals(entry.sha256())
          ? ""
          : "%s in %s has SHA-256 %s and its index says %s"
              .formatted(entry.file(), path, actual, entry.sha256());
    } catch (IOException e) {
      return entry.file() + " in " + path + " cannot be read: " + e.getMessage();
    }
  }

  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JVM has SHA-256", e);
    }
  }

  static String hex(byte[] bytes) {
    return HexFormat.of().formatHex(bytes);
  }

  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
