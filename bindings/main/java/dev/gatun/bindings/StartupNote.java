package dev.gatun.bindings;

import dev.gatun.bindings.generated.Pin;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * An empty file in the user's cache that answers a question about the libraries that is costly to
 * ask at each start: whether these very libraries export every symbol that this version of Gatun
 * needs, or which CPU variant suits this very processor best. Its name is made of what the answer
 * depends on, so it never has to be corrected.
 *
 * @param file where it stands; null for a folder without an index, whose libraries may change
 *     unseen
 */
record StartupNote(@Nullable Path file) {
  private static final long FNV_OFFSET = 0xcbf29ce484222325L;
  private static final long FNV_PRIME = 0x100000001b3L;

  /** The note that says that no symbol is missing. */
  static StartupNote of(NativeFolder folder) {
    return about(folder, Pin.SYMBOLS, "symbols-", "");
  }

  /**
   * The note that says that a variant suits a processor best.
   *
   * @param processor everything that the choice depends on; "" when the platform does not tell
   * @param variant the variant's file
   */
  static StartupNote ofVariant(NativeFolder folder, String processor, String variant) {
    return processor.isEmpty()
        ? new StartupNote(null)
        : about(folder, processor, "cpu-", "-" + variant);
  }

  private static StartupNote about(
      NativeFolder folder, String subject, String prefix, String suffix) {
    if (folder.indexes().isEmpty()) {
      return new StartupNote(null);
    }
    long hash = mix(FNV_OFFSET, subject);
    for (NativeIndex index : folder.indexes()) {
      for (NativeIndex.Entry entry : index.entries()) {
        hash = mix(hash, entry.sha256());
      }
    }
    return new StartupNote(
        UserCache.folder().resolve("checked").resolve(prefix + Long.toHexString(hash) + suffix));
  }

  private static long mix(long hash, String text) {
    long mixed = hash;
    for (int i = 0; i < text.length(); i++) {
      mixed = (mixed ^ text.charAt(i)) * FNV_PRIME;
    }
    return mixed;
  }

  boolean exists() {
    return file != null && file.toFile().exists();
  }

  /** Writes it; a cache that cannot be written only means that the next start looks again. */
  void write() {
    if (file == null) {
      return;
    }
    try {
      Files.createDirectories(file.getParent());
      Files.write(file, new byte[0]);
    } catch (IOException e) {
      // The next start looks again.
    }
  }
}
