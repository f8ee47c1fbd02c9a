package dev.gatun;

import dev.gatun.error.LlamaException;
import dev.gatun.kv.PageBounds;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.zip.CRC32C;

/**
 * Keeps records, such as the rows of pages, outside of the cache and of the Java heap, in the order
 * in which they come. One thread.
 */
abstract sealed class PageStore implements PageBounds.Storage, AutoCloseable {
  /** Opens a store in memory, or in a new file that is deleted when the store is closed. */
  static PageStore open(Optional<Path> file) {
    return file.isPresent() ? new InFile(file.get()) : new InMemory();
  }

  /**
   * Returns a record, 32-byte aligned: a view or a copy, to be read only.
   *
   * @param bytes its size
   * @param call owns a copy
   */
  abstract MemorySegment view(int number, long bytes, Arena call);

  /** Bytes in memory outside of the Java heap. */
  abstract long memoryBytes();

  /** Bytes on disk. */
  abstract long fileBytes();

  @Override
  public abstract void close();

  /** In memory outside of the Java heap. */
  private static final class InMemory extends PageStore {
    private final Arena arena = Arena.ofShared();
    private final List<MemorySegment> records = new ArrayList<>();
    private long bytes;

    @Override
    public int add(List<MemorySegment> added) {
      int first = records.size();
      List<MemorySegment> copies = new ArrayList<>();
      for (MemorySegment record : added) {
        copies.add(arena.allocate(record.byteSize(), 32).copyFrom(record));
      }
      records.addAll(copies);
      bytes += copies.stream().mapToLong(MemorySegment::byteSize).sum();
      return first;
    }

    @Override
    public void read(int number, MemorySegment target) {
      target.copyFrom(records.get(number));
    }

    @Override
    MemorySegment view(int number, long size, Arena call) {
      return records.get(number).asReadOnly();
    }

    @Override
    long memoryBytes() {
      return bytes;
    }

    @Override
    long fileBytes() {
      return 0;
    }

    @Override
    public void close() {
      if (arena.scope().isAlive()) {
        arena.close();
      }
    }
  }

  /**
   * In a file. It is written and read in place rather than mapped: mapped pages count as resident
   * memory, and a file that somebody cuts short would end in a fault instead of an error. Not
   * through a channel, which an interrupt of the thread closes, and everything would be lost. Where
   * the system can, the file has no name while it is open, so that a killed process leaves nothing.
   */
  private static final class InFile extends PageStore {
    private final Path path;
    private final RandomAccessFile file;
    private final boolean named;
    private final byte[] buffer = new byte[1 << 16];
    private long[] offsets = new long[64];
    private int[] sums = new int[64];
    private int records;
    private long end;

    InFile(Path path) {
      this.path = path;
      try {
        Files.createFile(path);
      } catch (FileAlreadyExistsException e) {
        throw new LlamaException(
            path + " exists; name a new file, or delete it if a process that was killed left it",
            e);
      } catch (IOException e) {
        throw new LlamaException("cannot make " + path + " for pages: " + e, e);
      }
      try {
        file = new RandomAccessFile(path.toFile(), "rw");
      } catch (FileNotFoundException | UnsupportedOperationException e) {
        unlink();
        throw new LlamaException("cannot open " + path + " for pages: " + e, e);
      }
      named = !unlink();
    }

    /** Takes the file's name away; tells whether the system could. */
    private boolean unlink() {
      try {
        Files.deleteIfExists(path);
        return true;
      } catch (IOException e) {
        return false; // a system that keeps the names of open files
      }
    }

    @Override
    public int add(List<MemorySegment> added) {
      int most = records + added.size();
      if (most > offsets.length) {
        int length = Math.max(most, 2 * records);
        offsets = Arrays.copyOf(offsets, length);
        sums = Arrays.copyOf(sums, length);
      }
      long at = end;
      try {
        for (int i = 0; i < added.size(); i++) {
          offsets[records + i] = at;
          sums[records + i] = write(added.get(i), at);
          at += added.get(i).byteSize();
        }
      } catch (IOException e) {
        throw new LlamaException(
            "cannot write %,d bytes of pages to %s: %s"
                .formatted(added.stream().mapToLong(MemorySegment::byteSize).sum(), path, e),
            e);
      }
      int first = records;
      records = most;
      end = at;
      return first;
    }

    private int write(MemorySegment record, long at) throws IOException {
      CRC32C sum = new CRC32C();
      file.seek(at);
      for (long done = 0; done < record.byteSize(); ) {
        int n = (int) Math.min(buffer.length, record.byteSize() - done);
        MemorySegment.copy(record, ValueLayout.JAVA_BYTE, done, buffer, 0, n);
        file.write(buffer, 0, n);
        sum.update(buffer, 0, n);
        done += n;
      }
      return (int) sum.getValue();
    }

    @Override
    public void read(int number, MemorySegment target) {
      CRC32C sum = new CRC32C();
      try {
        file.seek(offsets[number]);
        for (long done = 0; done < target.byteSize(); ) {
          int n = file.read(buffer, 0, (int) Math.min(buffer.length, target.byteSize() - done));
          if (n < 0) {
            throw new LlamaException(
                "%s ends at %,d bytes, but %,d were written; something else has cut it"
                    .formatted(path, file.length(), end));
          }
          MemorySegment.copy(buffer, 0, target, ValueLayout.JAVA_BYTE, done, n);
          sum.update(buffer, 0, n);
          done += n;
        }
      } catch (IOException e) {
        throw new LlamaException(
            "cannot read %,d bytes of a page from %s: %s".formatted(target.byteSize(), path, e), e);
      }
      if ((int) sum.getValue() != sums[number]) {
        throw new LlamaException(
            "record %,d in %s is not what was written; something else has changed the file"
                .formatted(number, path));
      }
    }

    @Override
    MemorySegment view(int number, long size, Arena call) {
      MemorySegment copy = call.allocate(size, 32);
      read(number, copy);
      return copy;
    }

    @Override
    long memoryBytes() {
      return 0;
    }

    @Override
    long fileBytes() {
      return end;
    }

    @Override
    public void close() {
      try {
        file.close();
        if (named) {
          Files.deleteIfExists(path);
        }
      } catch (IOException e) {
        throw new LlamaException("cannot close " + path + ": " + e, e);
      }
    }
  }
}
