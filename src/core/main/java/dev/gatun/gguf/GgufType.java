package dev.gatun.gguf;

import org.jspecify.annotations.Nullable;

/**
 * The value types of GGUF metadata. The ordinal is the code in the file.
 *
 * <p>Immutable; any thread.
 */
public enum GgufType {
  UINT8(1),
  INT8(1),
  UINT16(2),
  INT16(2),
  UINT32(4),
  INT32(4),
  FLOAT32(4),
  BOOL(1),
  STRING(0),
  ARRAY(0),
  UINT64(8),
  INT64(8),
  FLOAT64(8);

  private static final GgufType[] ALL = values();

  private final int bytes;

  GgufType(int bytes) {
    this.bytes = bytes;
  }

  /** Returns the code that stands for this type in a file. */
  public int code() {
    return ordinal();
  }

  /** Returns the size of one value in bytes; 0 for strings and arrays, whose size varies. */
  public int bytes() {
    return bytes;
  }

  /** Tells whether values are whole numbers. */
  public boolean isInteger() {
    return switch (this) {
      case UINT8, INT8, UINT16, INT16, UINT32, INT32, UINT64, INT64 -> true;
      default -> false;
    };
  }

  /** Tells whether values are floating-point numbers. */
  public boolean isReal() {
    return this == FLOAT32 || this == FLOAT64;
  }

  static @Nullable GgufType ofCode(int code) {
    return code >= 0 && code < ALL.length ? ALL[code] : null;
  }
}
