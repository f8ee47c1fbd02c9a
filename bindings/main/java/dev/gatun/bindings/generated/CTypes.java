package dev.gatun.bindings.generated;

import java.lang.foreign.AddressLayout;
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
}
