package dev.gatun;

import dev.gatun.error.LlamaException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.zip.CRC32C;

/** Keeps the rows of pages outside of the cache, in the order in which they come. One thread. */
abstract sealed class PageStore implements AutoCloseable {
  /** Opens a store in memory, or in a new file that is deleted when the store is closed. */
  static PageStore open(Optional<Path> file) {
    return file.isPresent() ? new InFile(file.get()) : new InMemory();
  }

  /** Adds rows behind all others; returns the number of the page. */
  abstract int add(MemorySegment rows);

  /** Copies the rows of a page; {@code target} has their size. */
  abstract void read(int page, MemorySegment target);

  /** Bytes in memory outside of the Java heap. */
  abstract long memoryBytes();

  /** Bytes on disk. */
  abstract long fileBytes();

  @Override
  public abstract void close();

  /** In memory outside of the Java heap. */
  private static final class InMemory extends PageStore {
    private final Arena arena = Arena.ofShared();
    private final List<MemorySegment> pages = new ArrayList<>();
    private long bytes;

    @Override
    int add(MemorySegment rows) {
      MemorySegment copy = arena.allocate(rows.byteSize(), 32);
      copy.copyFrom(rows);
      pages.add(copy);
      bytes += copy.byteSize();
      return pages.size() - 1;
    }

    @Override
    void read(int page, MemorySegment target) {
      target.copyFrom(pages.get(page));
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
   * memory, and a file that somebody cuts short would end in a fault instead of an error. Where the
   * system can, the file has no name while it is open, so that a killed process leaves nothing.
   */
  private static final class InFile extends PageStore {
    private final Path path;
    private final FileChannel channel;
    private long[] offsets = new long[64];
    private int[] sums = new int[64];
    private int pages;
    private long end;

    InFile(Path path) {
      this.path = path;
      try {
        channel =
            FileChannel.open(
                path,
                StandardOpenOption.CREATE_NEW,
                StandardOpenOption.READ,
                StandardOpenOption.WRITE,
                StandardOpenOption.DELETE_ON_CLOSE);
      } catch (FileAlreadyExistsException e) {
        throw new LlamaException(
            path + " exists; name a new file, or delete it if a process that was killed left it",
            e);
      } catch (IOException e) {
        throw new LlamaException("cannot make " + path + " for pages: " + e, e);
      }
    }

    @Override
    int add(MemorySegment rows) {
      ByteBuffer buffer = rows.asByteBuffer();
      try {
        for (long at = end; buffer.hasRemaining(); ) {
          at += channel.write(buffer, at);
        }
      } catch (IOException e) {
        throw new LlamaException(
            "cannot write %,d bytes of a page to %s: %s".formatted(rows.byteSize(), path, e), e);
      }
      if (pages == offsets.length) {
        offsets = Arrays.copyOf(offsets, pages * 2);
        sums = Arrays.copyOf(sums, pages * 2);
      }
      offsets[pages] = end;
      sums[pages] = sum(rows);
      end += rows.byteSize();
      return pages++;
    }

    @Override
    void read(int page, MemorySegment target) {
      ByteBuffer buffer = target.asByteBuffer();
      try {
        for (long at = offsets[page]; buffer.hasRemaining(); ) {
          int n = channel.read(buffer, at);
          if (n < 0) {
            throw new LlamaException(
                "%s ends at %,d bytes, but %,d were written; something else has cut it"
                    .formatted(path, channel.size(), end));
          }
          at += n;
        }
      } catch (IOException e) {
        throw new LlamaException(
            "cannot read %,d bytes of a page from %s: %s".formatted(target.byteSize(), path, e), e);
      }
      if (sum(target) != sums[page]) {
        throw new LlamaException(
            "page %,d in %s is not what was written; something else has changed the file"
                .formatted(page, path));
      }
    }

    private static int sum(MemorySegment rows) {
      CRC32C sum = new CRC32C();
      sum.update(rows.asByteBuffer());
      return (int) sum.getValue();
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
        channel.close();
      } catch (IOException e) {
        throw new LlamaException("cannot close " + path + ": " + e, e);
      }
    }
  }
}
