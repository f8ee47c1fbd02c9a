package dev.gatun.bindings.generated;

import java.lang.foreign.AddressLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The C types of the headers as layouts.
 *
 * <p>Every platform that is supported has the same 64-bit sizes, and {@code long}, the one type that
 * differs, never occurs in the headers. A pointer has no target layout, so a pointer that native code
 * returns is a segment of size zero.
 */
public final class CTypes {
  /** {@code bool}. */
  public static final ValueLayout.OfBoolean C_BOOL = ValueLayout.JAVA_BOOLEAN;

  /** {@code char} and the 8-bit integers. */
  public static final ValueLayout.OfByte C_CHAR = ValueLayout.JAVA_BYTE;

  /** {@code short} and the 16-bit integers. */
  public static final ValueLayout.OfShort C_SHORT = ValueLayout.JAVA_SHORT;

  /** {@code int}, enums and the 32-bit integers. */
  public static final ValueLayout.OfInt C_INT = ValueLayout.JAVA_INT;

  /** {@code long long}, {@code size_t} and the 64-bit integers. */
  public static final ValueLayout.OfLong C_LONG_LONG = ValueLayout.JAVA_LONG;

  /** {@code float}. */
  public static final ValueLayout.OfFloat C_FLOAT = ValueLayout.JAVA_FLOAT;

  /** {@code double}. */
  public static final ValueLayout.OfDouble C_DOUBLE = ValueLayout.JAVA_DOUBLE;

  /** Any pointer. */
  public static final AddressLayout C_POINTER = ValueLayout.ADDRESS;

  private CTypes() {}

  // The JDK makes the handles of bool and pointer layouts from those of byte and long, out of a
  // dozen classes that it writes at their first use. That is felt in a start; this is the same.

  /** Reads a {@code bool}. */
  public static boolean bool(MemorySegment segment, long offset) {
    return segment.get(C_CHAR, offset) != 0;
  }

  /** Writes a {@code bool}. */
  public static void bool(MemorySegment segment, long offset, boolean value) {
    segment.set(C_CHAR, offset, (byte) (value ? 1 : 0));
  }

  /** Reads a pointer, as a segment of size zero. */
  public static MemorySegment pointer(MemorySegment segment, long offset) {
    return MemorySegment.ofAddress(segment.get(C_LONG_LONG, offset));
  }

  /**
   * Writes a pointer.
   *
   * @throws IllegalArgumentException if {@code value} is on the heap and so has no address
   */
  public static void pointer(MemorySegment segment, long offset, MemorySegment value) {
    if (!value.isNative()) {
      throw new IllegalArgumentException("a segment on the heap has no address: " + value);
    }
    segment.set(C_LONG_LONG, offset, value.address());
  }
}
