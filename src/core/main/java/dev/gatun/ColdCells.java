package dev.gatun;

import dev.gatun.files.OwnerOnly;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.Function;
import java.util.zip.CRC32C;

/**
 * The cold tiers of a prefix cache: blocks of cells in host memory and in files. A file is the
 * block's bytes and their CRC-32C; it belongs to this process, and only its owner may read it.
 */
class ColdCells { // not final: tests let its steps fail
  private static final long SLICE = 1L << 30;
  private static final int SUM_BYTES = 4;

  private final Optional<PrefixCacheOptions.Disk> disk;
  private final String name = UUID.randomUUID().toString();
  private long hostBytes;
  private long diskBytes;
  private long files;

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

  private static void remove(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      // The file is named for this process and its block: nothing reads it again.
      file.toFile().deleteOnExit();
    }
  }

  /**
   * Writes a block to a file, under another name first, and frees its memory.
   *
   * @throws IOException if it cannot be written; the block stays in memory
   */
  void toDisk(CellBlock block) throws IOException {
    if (!(block.location() instanceof CellBlock.InMemory(Arena arena, MemorySegment bytes))) {
      return;
    }
    Path folder = disk.orElseThrow().folder();
    Files.createDirectories(folder);
    Path path = folder.resolve("gatun-prefix-" + name + "-" + files++ + ".cells");
    Path part = path.resolveSibling(path.getFileName() + ".part");
    try {
      try (FileChannel channel =
          FileChannel.open(
              part,
              Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
              OwnerOnly.attributes(part))) {
        for (long at = 0; at < bytes.byteSize(); at += SLICE) {
          write(channel, slice(bytes, at));
        }
        write(channel, ByteBuffer.allocate(SUM_BYTES).putInt(0, sum(bytes)));
      }
      move(part, path);
    } catch (IOException | RuntimeException | Error e) {
      remove(part);
      throw e;
    }
    block.moveTo(new CellBlock.InFile(path));
    hostBytes -= block.size();
    diskBytes += block.size();
    arena.close();
  }

  private static void move(Path from, Path to) throws IOException {
    try {
      Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
    } catch (AtomicMoveNotSupportedException e) {
      Files.move(from, to);
    }
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
      try (Arena mapping = Arena.ofConfined()) {
        MemorySegment bytes = arena.allocate(Math.max(1, block.size()), 32);
        MemorySegment.copy(mapped(block, path, mapping), 0, bytes, 0, block.size());
        block.moveTo(new CellBlock.InMemory(arena, bytes.asSlice(0, block.size())));
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
   * Returns a block's bytes, read-only.
   *
   * @param arena they live as long when they are in a file
   * @throws IOException if the file is gone, or not as it was written
   */
  MemorySegment bytes(CellBlock block, Arena arena) throws IOException {
    return switch (block.location()) {
      case CellBlock.InMemory(_, MemorySegment bytes) -> bytes;
      case CellBlock.InFile(Path path) -> mapped(block, path, arena);
    };
  }

  private static MemorySegment mapped(CellBlock block, Path path, Arena arena) throws IOException {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      if (channel.size() != block.size() + SUM_BYTES) {
        throw new IOException(
            "%s has %,d bytes in place of %,d"
                .formatted(path, channel.size(), block.size() + SUM_BYTES));
      }
      MemorySegment file =
          channel.map(FileChannel.MapMode.READ_ONLY, 0, block.size() + SUM_BYTES, arena);
      MemorySegment bytes = file.asSlice(0, block.size());
      int written =
          file.get(ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN), block.size());
      if (sum(bytes) != written) {
        throw new IOException(path + " was altered");
      }
      return bytes;
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
