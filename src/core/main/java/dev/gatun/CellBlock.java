package dev.gatun;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/**
 * Cells copied out of a context, in host memory or in a file. Nodes of a prefix tree share a block
 * when they were divided inside it.
 */
final class CellBlock {
  /** Where the bytes are. */
  sealed interface Location {}

  /** In memory of their own. */
  record InMemory(Arena arena, MemorySegment bytes) implements Location {}

  /** In a file of their own. */
  record InFile(Path path) implements Location {}

  private final int start;
  private final int end;
  private final long size;
  private Location location;
  private int users = 1;

  CellBlock(int start, int end, InMemory memory) {
    this.start = start;
    this.end = end;
    this.size = memory.bytes().byteSize();
    this.location = memory;
  }

  /** Position of the first cell. */
  int start() {
    return start;
  }

  /** Position behind the last cell. */
  int end() {
    return end;
  }

  /** Bytes. */
  long size() {
    return size;
  }

  Location location() {
    return location;
  }

  void moveTo(Location next) {
    location = next;
  }

  boolean isInMemory() {
    return location instanceof InMemory;
  }

  void use() {
    users++;
  }

  /** Takes one use back; tells whether it was the last one. */
  boolean unuse() {
    return --users == 0;
  }
}
