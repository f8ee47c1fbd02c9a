package dev.gatun.bindings;

import dev.gatun.bindings.generated.Pin;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * An empty file in the user's cache that says: these very libraries export every symbol that this
 * version of Gatun needs. Its name is made of what the answer depends on, so it never has to be
 * corrected. To look up hundreds of symbols at each start would cost more than to load a small
 * model.
 *
 * @param file where it stands; null for a folder without an index, whose libraries may change
 *     unseen
 */
record StartupNote(@Nullable Path file) {
  private static final long FNV_OFFSET = 0xcbf29ce484222325L;
  private static final long FNV_PRIME = 0x100000001b3L;

  static StartupNote of(NativeFolder folder) {
    if (folder.indexes().isEmpty()) {
      return new StartupNote(null);
    }
    long hash = mix(FNV_OFFSET, Pin.SYMBOLS);
    for (NativeIndex index : folder.indexes()) {
      for (NativeIndex.Entry entry : index.entries()) {
        hash = mix(hash, entry.sha256());
      }
    }
    return new StartupNote(
        UserCache.folder().resolve("checked").resolve("symbols-" + Long.toHexString(hash)));
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
