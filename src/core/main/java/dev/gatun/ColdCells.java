package dev.gatun;

import dev.gatun.files.OwnerOnly;
import dev.gatun.files.ScratchFolder;
import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.zip.CRC32C;

/**
 * The cold tiers of a prefix cache: blocks of cells in host memory and in files. A file is the
 * block's bytes and their CRC-32C. The files are in a folder of this cache, which is there while
 * there are any; only their owner may read them.
 *
 * <p>Files are read, not mapped: one that somebody cuts short is then an error and not a fault.
 */
class ColdCells { // not final: tests let its steps fail
  private static final String FOLDER_PREFIX = "gatun-prefix-";
  private static final long SLICE = 1L << 30;
  private static final int SUM_BYTES = 4;

  private final Optional<PrefixCacheOptions.Disk> disk;
  private Optional<ScratchFolder> folder = Optional.empty();
  private long hostBytes;
  private long diskBytes;
  private long made;
  private int files;

  ColdCells(Optional<PrefixCacheOptions.Disk> disk) {
    this.disk = disk;
  }

  long hostBytes() {
    return hostBytes;
  }

  long diskBytes() {
    return diskBytes;
  }

  /** Copies cells out; the function allocates in the arena that it is given. */
  CellBlock add(int start, int end, Function<Arena, MemorySegment> read) {
    Arena arena = Arena.ofShared();
    try {
      CellBlock block = new CellBlock(start, end, new CellBlock.InMemory(arena, read.apply(arena)));
      hostBytes += block.size();
      return block;
    } catch (RuntimeException | Error e) {
      arena.close();
      throw e;
    }
  }

  /** Takes one use of a block back, and the last one frees it. */
  void release(CellBlock block) {
    if (block.unuse()) {
      free(block);
    }
  }

  private void free(CellBlock block) {
    switch (block.location()) {
      case CellBlock.InMemory(Arena arena, _) -> {
        hostBytes -= block.size();
        arena.close();
      }
      case CellBlock.InFile(Path path) -> {
        diskBytes -= block.size();
        remove(path);
      }
    }
  }

  /** Removes a file, and with the last one the folder. */
  private void remove(Path file) {
    files--;
    try {
      if (files == 0) {
        ScratchFolder empty = folder.orElseThrow();
        folder = Optional.empty();
        empty.close();
      } else {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      // Nothing reads it again; it goes with the folder, or when the next folder is made here.
    }
  }

  /**
   * Writes a block to a file and frees its memory.
   *
   * @throws IOException if it cannot be written; the block stays in memory
   */
  void toDisk(CellBlock block) throws IOException {
    if (!(block.location() instanceof CellBlock.InMemory(Arena arena, MemorySegment bytes))) {
      return;
    }
    if (folder.isEmpty()) {
      folder = Optional.of(ScratchFolder.open(disk.orElseThrow().folder(), FOLDER_PREFIX));
    }
    Path path = folder.get().path().resolve(made++ + ".cells");
    files++;
    try (FileChannel channel =
        FileChannel.open(
            path,
            Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
            OwnerOnly.attributes(path))) {
      for (long at = 0; at < bytes.byteSize(); at += SLICE) {
        write(channel, slice(bytes, at));
      }
      write(channel, ByteBuffer.allocate(SUM_BYTES).putInt(0, sum(bytes)));
    } catch (IOException | RuntimeException | Error e) {
      remove(path);
      throw e;
    }
    block.moveTo(new CellBlock.InFile(path));
    hostBytes -= block.size();
    diskBytes += block.size();
    arena.close();
  }

  private static void write(FileChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  /**
   * Reads a block back into memory and removes its file.
   *
   * @throws IOException if the file is gone, or not as it was written
   */
  void toHost(CellBlock block) throws IOException {
    if (block.location() instanceof CellBlock.InFile(Path path)) {
      Arena arena = Arena.ofShared();
      try {
        block.moveTo(new CellBlock.InMemory(arena, read(block, path, arena)));
      } catch (IOException | RuntimeException | Error e) {
        arena.close();
        throw e;
      }
      hostBytes += block.size();
      diskBytes -= block.size();
      remove(path);
    }
  }

  /**
   * Returns a block's bytes.
   *
   * @param arena they live as long when they are in a file
   * @throws IOException if the file is gone, or not as it was written
   */
  MemorySegment bytes(CellBlock block, Arena arena) throws IOException {
    return switch (block.location()) {
      case CellBlock.InMemory(_, MemorySegment bytes) -> bytes;
      case CellBlock.InFile(Path path) -> read(block, path, arena);
    };
  }

  private static MemorySegment read(CellBlock block, Path path, Arena arena) throws IOException {
    MemorySegment bytes = arena.allocate(Math.max(1, block.size()), 32).asSlice(0, block.size());
    ByteBuffer written = ByteBuffer.allocate(SUM_BYTES);
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      if (channel.size() != block.size() + SUM_BYTES) {
        throw new IOException(
            "%s has %,d bytes in place of %,d"
                .formatted(path, channel.size(), block.size() + SUM_BYTES));
      }
      for (long at = 0; at < bytes.byteSize(); at += SLICE) {
        read(channel, slice(bytes, at), path);
      }
      read(channel, written, path);
    }
    if (sum(bytes) != written.getInt(0)) {
      throw new IOException(path + " was altered");
    }
    return bytes;
  }

  private static void read(FileChannel channel, ByteBuffer to, Path path) throws IOException {
    while (to.hasRemaining()) {
      if (channel.read(to) < 0) {
        throw new EOFException(path + " was cut short");
      }
    }
  }

  private static int sum(MemorySegment bytes) {
    CRC32C sum = new CRC32C();
    for (long at = 0; at < bytes.byteSize(); at += SLICE) {
      sum.update(slice(bytes, at));
    }
    return (int) sum.getValue();
  }

  private static ByteBuffer slice(MemorySegment bytes, long at) {
    return bytes.asSlice(at, Math.min(SLICE, bytes.byteSize() - at)).asByteBuffer();
  }
}
