package dev.gatun.files;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;

/**
 * A folder of files that nobody needs after its owner, beside those of other owners in a common
 * parent. A locked file next to it says that the owner lives; what a killed process has left is
 * removed when the next folder is opened there.
 */
public final class ScratchFolder implements AutoCloseable {
  private static final String LOCK = ".lock";

  /**
   * The lock files of this process. They are never opened a second time: on POSIX systems closing
   * any channel of a file gives up the process's locks of it.
   */
  private static final Set<Path> OWN = ConcurrentHashMap.newKeySet();

  private final Path path;
  private final Path lock;
  private final FileChannel holder;

  private ScratchFolder(Path path, Path lock, FileChannel holder) {
    this.path = path;
    this.lock = lock;
    this.holder = holder;
  }

  /**
   * Makes a folder.
   *
   * @param parent is created when it is missing
   * @param prefix begins the folder's name; those of ended processes with this prefix are removed,
   *     where this process may
   * @throws IOException if it cannot be made, or files cannot be locked there
   */
  public static ScratchFolder open(Path parent, String prefix) throws IOException {
    Files.createDirectories(parent);
    Path place = parent.toRealPath();
    removeAbandoned(place, prefix);
    while (true) {
      Path path = place.resolve(prefix + UUID.randomUUID());
      Path lock = path.resolveSibling(path.getFileName() + LOCK);
      OWN.add(lock); // before it is there to be found
      try {
        Optional<FileChannel> holder = hold(lock);
        if (holder.isPresent()) {
          return create(path, lock, holder.get());
        }
        OWN.remove(lock);
      } catch (IOException | RuntimeException | Error e) {
        OWN.remove(lock);
        throw e;
      }
    }
  }

  private static ScratchFolder create(Path path, Path lock, FileChannel holder) throws IOException {
    try {
      Files.createDirectory(path);
      return new ScratchFolder(path, lock, holder);
    } catch (IOException | RuntimeException | Error e) {
      holder.close();
      Files.deleteIfExists(lock);
      throw e;
    }
  }

  /** Makes and locks a file; empty when another process took it for an abandoned one in between. */
  private static Optional<FileChannel> hold(Path lock) throws IOException {
    FileChannel channel =
        FileChannel.open(
            lock,
            Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
            OwnerOnly.attributes(lock));
    try {
      if (channel.tryLock() != null && Files.exists(lock)) {
        return Optional.of(channel);
      }
    } catch (IOException | RuntimeException | Error e) {
      channel.close();
      Files.deleteIfExists(lock);
      throw e;
    }
    channel.close();
    return Optional.empty();
  }

  /** Returns where the files go. */
  public Path path() {
    return path;
  }

  private static void removeAbandoned(Path parent, String prefix) throws IOException {
    List<Path> locks;
    try (Stream<Path> entries = Files.list(parent)) {
      locks =
          entries
              .filter(entry -> entry.getFileName().toString().startsWith(prefix))
              .filter(entry -> entry.getFileName().toString().endsWith(LOCK))
              .filter(entry -> !OWN.contains(entry))
              .toList();
    }
    for (Path lock : locks) {
      try {
        if (removeFolderOf(lock)) {
          Files.deleteIfExists(lock);
        }
      } catch (IOException e) {
        // Its owner has just removed it, or is another user: for this folder it is no reason to
        // fail.
      }
    }
  }

  /** Removes a folder if its owner has ended; tells whether it has. */
  private static boolean removeFolderOf(Path lock) throws IOException {
    try (FileChannel channel = FileChannel.open(lock, StandardOpenOption.WRITE)) {
      if (channel.tryLock() == null) {
        return false;
      }
      String name = lock.getFileName().toString();
      removeAll(lock.resolveSibling(name.substring(0, name.length() - LOCK.length())));
      return true;
    }
  }

  private static void removeAll(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    try (Stream<Path> entries = Files.walk(folder)) {
      for (Path entry : entries.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(entry);
      }
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  /**
   * Removes the folder with all that is in it. What cannot be removed now is when the next folder
   * is opened. Idempotent.
   */
  @Override
  public void close() throws IOException {
    try {
      removeAll(path);
    } finally {
      holder.close();
      OWN.remove(lock);
    }
    Files.deleteIfExists(lock);
  }
}
