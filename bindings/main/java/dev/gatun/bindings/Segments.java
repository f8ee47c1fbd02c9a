package dev.gatun.bindings;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;

/** Gives native pointers the bounds and the owner that C does not tell. Stateless. */
public final class Segments {
  private Segments() {}

  /**
   * Makes an arena the owner of a native object.
   *
   * @param raw the pointer that C returned
   * @param arena its close frees the object
   * @param free the C function that frees it
   * @return the same pointer, of size 0, alive as long as the arena
   * @throws IllegalStateException if the pointer is NULL
   */
  public static MemorySegment owned(MemorySegment raw, Arena arena, Consumer<MemorySegment> free) {
    return requireNonNull(raw).reinterpret(arena, free);
  }

  /**
   * Gives a pointer its size.
   *
   * @param raw the pointer that C returned
   * @param bytes how much it points to
   * @throws IllegalStateException if the pointer is NULL
   */
  public static MemorySegment sized(MemorySegment raw, long bytes) {
    return requireNonNull(raw).reinterpret(bytes);
  }

  /**
   * Reads a C string.
   *
   * @param raw pointer to UTF-8 that ends in NUL; invalid bytes become U+FFFD
   * @param maxBytes where to stop when there is no NUL before
   * @throws IllegalStateException if the pointer is NULL
   */
  public static String utf8(MemorySegment raw, long maxBytes) {
    MemorySegment text = sized(raw, maxBytes);
    long length = 0;
    while (length < maxBytes && text.get(ValueLayout.JAVA_BYTE, length) != 0) {
      length++;
    }
    return new String(
        text.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8);
  }

  private static MemorySegment requireNonNull(MemorySegment raw) {
    if (raw.address() == 0) {
      throw new IllegalStateException("a native function returned NULL");
    }
    return raw;
  }
}
