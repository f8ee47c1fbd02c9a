package dev.gatun.internal;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;

/** The native buffer that a shim call writes its message into. Confined to its owner's guard. */
public final class ErrorBuffer {
  private static final int CAPACITY = 4096;

  private final MemorySegment segment;

  /**
   * Allocates the buffer.
   *
   * @param arena the owner's arena
   */
  public ErrorBuffer(Arena arena) {
    segment = arena.allocate(CAPACITY);
  }

  /** Returns the buffer. */
  public MemorySegment segment() {
    return segment;
  }

  /** Returns its size in bytes. */
  public long capacity() {
    return CAPACITY;
  }

  /** Returns the message of the last call; empty when it succeeded. */
  public String message() {
    int length = 0;
    while (length < CAPACITY && segment.get(ValueLayout.JAVA_BYTE, length) != 0) {
      length++;
    }
    byte[] bytes = segment.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE);
    return new String(bytes, StandardCharsets.UTF_8).strip();
  }
}
