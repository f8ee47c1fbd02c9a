package dev.gatun.kv;

import dev.gatun.error.StateFormatException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Stream;

/**
 * A folder of state files.
 *
 * <p>Any thread and any process may list, read, write and prune at the same time: files come and go
 * whole. Immutable.
 */
public final class StateStore {
  /** How the files of a store end. */
  public static final String SUFFIX = ".gkv";

  /** A file that is not complete is left over from a fault when nobody has written for so long. */
  private static final Duration LEFT_OVER = Duration.ofHours(1);

  private final Path folder;

  private StateStore(Path folder) {
    this.folder = folder;
  }

  /**
   * A file of the store.
   *
   * @param path the file
   * @param bytes its length
   * @param used when it was last written or marked as used
   * @param facts what it says about itself; empty when it cannot be read
   * @param problem why it cannot be read; empty when it can
   */
  public record Entry(
      Path path, long bytes, Instant used, Optional<StateFacts> facts, Optional<String> problem) {}

  /**
   * A file that begins as a text does.
   *
   * @param path the file
   * @param commonTokens how many tokens they share from the start
   */
  public record Match(Path path, int commonTokens) {}

  /**
   * Returns the store in a folder. Neither needs to exist yet.
   *
   * @param folder where the files are
   */
  public static StateStore of(Path folder) {
    return new StateStore(folder);
  }

  /** Returns the folder. */
  public Path folder() {
    return folder;
  }

  /**
   * Returns a name for a new file, in the folder, which is made if it is missing.
   *
   * @param fingerprint fingerprint of the model
   */
  public Path newFile(String fingerprint) {
    try {
      Files.createDirectories(folder);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot make the folder " + folder + ": " + e, e);
    }
    String model = fingerprint.substring(0, Math.min(12, fingerprint.length()));
    String name = HexFormat.of().toHexDigits(ThreadLocalRandom.current().nextLong());
    return folder.resolve(model + "-" + name + SUFFIX);
  }

  /** Returns every state file, the last used first; a folder that is missing is empty. */
  public List<Entry> list() {
    List<Entry> entries = new ArrayList<>();
    for (Path path : files(SUFFIX)) {
      entry(path).ifPresent(entries::add);
    }
    entries.sort(Comparator.comparing(Entry::used).reversed().thenComparing(Entry::path));
    return List.copyOf(entries);
  }

  /**
   * Finds the file that shares the longest beginning with a text. Files that cannot be read are
   * passed over.
   *
   * @param fingerprint fingerprint of the model
   * @param settings settings of the context
   * @param tokens the text
   * @return empty when no file shares a token
   */
  public Optional<Match> find(String fingerprint, StateSettings settings, int[] tokens) {
    Optional<Match> best = Optional.empty();
    for (Entry entry : list()) {
      Optional<StateFacts> facts = entry.facts();
      if (facts.isEmpty()
          || !facts.get().fingerprint().equals(fingerprint)
          || !facts.get().settings().equals(settings)) {
        continue;
      }
      int common;
      try {
        common = common(StateFile.tokens(entry.path()), tokens);
      } catch (StateFormatException _) {
        continue; // pruned or damaged since it was listed
      }
      if (common > best.map(Match::commonTokens).orElse(0)) {
        best = Optional.of(new Match(entry.path(), common));
      }
    }
    return best;
  }

  /** Returns how many tokens two texts share from the start. */
  public static int common(int[] a, int[] b) {
    int mismatch = Arrays.mismatch(a, b);
    return mismatch < 0 ? a.length : mismatch;
  }

  /** Marks a file as used now, so that pruning takes others first. */
  public void touch(Path file) {
    try {
      Files.setLastModifiedTime(file, FileTime.from(Instant.now()));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot mark " + file + " as used: " + e, e);
    }
  }

  /**
   * Returns what has to go so that the store keeps its bounds: what was not used for too long, then
   * the least recently used. Nothing is removed.
   *
   * @param maxBytes most bytes of all files; {@link Long#MAX_VALUE} for no bound
   * @param maxAge longest time without use; negative for no bound
   */
  public List<Entry> prunable(long maxBytes, Duration maxAge) {
    Instant now = Instant.now();
    List<Entry> going = new ArrayList<>();
    long kept = 0;
    boolean full = false;
    for (Entry entry : list()) {
      full |= entry.bytes() > maxBytes - kept;
      boolean old =
          !maxAge.isNegative() && Duration.between(entry.used(), now).compareTo(maxAge) > 0;
      if (full || old) {
        going.add(entry);
      } else {
        kept += entry.bytes();
      }
    }
    return List.copyOf(going);
  }

  /**
   * Removes files, but for those that were written or marked as used since they were listed, and
   * what faults have left over.
   *
   * @param entries from {@link #prunable}
   * @return the bytes that became free
   */
  public long remove(List<Entry> entries) {
    long bytes = 0;
    try {
      for (Entry entry : entries) {
        boolean same =
            attributes(entry.path())
                .filter(now -> now.lastModifiedTime().toInstant().equals(entry.used()))
                .isPresent();
        if (same && Files.deleteIfExists(entry.path())) {
          bytes += entry.bytes();
        }
      }
      Instant old = Instant.now().minus(LEFT_OVER);
      for (Path path : files(StateWriter.TEMPORARY_SUFFIX)) {
        if (path.getFileName().toString().startsWith(StateWriter.TEMPORARY_PREFIX)) {
          Optional<BasicFileAttributes> attributes = attributes(path);
          if (attributes.isPresent()
              && attributes.get().lastModifiedTime().toInstant().isBefore(old)
              && Files.deleteIfExists(path)) {
            bytes += attributes.get().size();
          }
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot remove from " + folder + ": " + e, e);
    }
    return bytes;
  }

  private List<Path> files(String suffix) {
    try (Stream<Path> paths = Files.list(folder)) {
      return paths
          .filter(path -> path.getFileName().toString().endsWith(suffix))
          .filter(Files::isRegularFile)
          .toList();
    } catch (NoSuchFileException _) {
      return List.of();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot list " + folder + ": " + e, e);
    }
  }

  private static Optional<Entry> entry(Path path) {
    Optional<BasicFileAttributes> attributes = attributes(path);
    if (attributes.isEmpty()) {
      return Optional.empty();
    }
    Optional<StateFacts> facts = Optional.empty();
    Optional<String> problem = Optional.empty();
    try {
      facts = Optional.of(StateFile.inspect(path));
    } catch (StateFormatException e) {
      problem = Optional.of(String.valueOf(e.getMessage()));
    }
    return Optional.of(
        new Entry(
            path,
            attributes.get().size(),
            attributes.get().lastModifiedTime().toInstant(),
            facts,
            problem));
  }

  /** Empty when somebody has removed the file. */
  private static Optional<BasicFileAttributes> attributes(Path path) {
    try {
      return Optional.of(Files.readAttributes(path, BasicFileAttributes.class));
    } catch (NoSuchFileException _) {
      return Optional.empty();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + path + ": " + e, e);
    }
  }
}
