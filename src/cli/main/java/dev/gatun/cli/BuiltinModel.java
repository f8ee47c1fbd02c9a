package dev.gatun.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import org.jspecify.annotations.Nullable;

/**
 * The model inside the program. The native side needs a file: an installed program has one beside
 * its jars, else the resource is unpacked once into the user's cache, under a name that carries its
 * hash.
 */
final class BuiltinModel {
  static final String FILE = "gatun-tiny-f16.gguf";
  static final long BYTES = 5_824_768;
  static final String SHA256 = "b81f57bff98f8801be1809e5c2b05da4ba973a90997e066989a23b8d998fa21f";

  /** What {@code run} says when no model is named. */
  static final String NOTE =
      "no --model given: using the built-in test model of 3 million parameters, which finds facts"
          + " in a text and knows nothing else";

  /** The folder beside the jars that holds the file; set by the launcher. */
  static final String FOLDER_PROPERTY = "gatun.builtin.dir";

  private BuiltinModel() {}

  /**
   * Returns the file, unpacked when that is needed.
   *
   * @throws CliException if it cannot be unpacked
   */
  static Path path() {
    @Nullable String folder = System.getProperty(FOLDER_PROPERTY);
    if (folder != null) {
      Path file = Path.of(folder, FILE);
      if (isWhole(file)) {
        return file;
      }
    }
    Path file =
        UserFolders.cache()
            .resolve("models")
            .resolve("gatun-tiny-f16-" + SHA256.substring(0, 12) + ".gguf");
    return isWhole(file) ? file : unpack(file);
  }

  private static boolean isWhole(Path file) {
    // A file under this name was moved here whole, so its size is proof enough.
    return file.toFile().length() == BYTES;
  }

  private static Path unpack(Path file) {
    try (InputStream resource = BuiltinModel.class.getResourceAsStream(FILE)) {
      if (resource == null) {
        throw CliException.file(
            "this build carries no built-in model; name one with -m/--model FILE.gguf");
      }
      Path folder = file.toAbsolutePath().getParent();
      Files.createDirectories(folder);
      Path temporary = Files.createTempFile(folder, "unpacking", ".gguf");
      try {
        Files.copy(resource, temporary, StandardCopyOption.REPLACE_EXISTING);
        Files.move(
            temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      } catch (FileAlreadyExistsException e) {
        // Another process was faster with the same bytes.
      } finally {
        Files.deleteIfExists(temporary);
      }
      return file;
    } catch (IOException e) {
      throw CliException.file(
          "cannot unpack the built-in model to "
              + file
              + " ("
              + e
              + "); free some space, set GATUN_CACHE_DIR, or name a model with -m/--model");
    }
  }
}
