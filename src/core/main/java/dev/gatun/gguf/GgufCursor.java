package dev.gatun.gguf;

import dev.gatun.error.GgufFormatException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Reads a mapped file forwards; every step is checked against the end of the file.
 *
 * <p>Numbers and texts are taken from a copied window, not from the segment: access to a segment is
 * fast only in compiled code, and in a command that ends after a fraction of a second this runs
 * interpreted.
 */
final class GgufCursor {
  private static final int WINDOW_BYTES = 1 << 16;

  private final MemorySegment file;
  private final String name;
  private long position;
  private byte[] window = new byte[0];
  private long windowStart;

  GgufCursor(MemorySegment file, String name) {
    this.file = file;
    this.name = name;
  }

  long position() {
    return position;
  }

  long length() {
    return file.byteSize();
  }

  long remaining() {
    return file.byteSize() - position;
  }

  int u8(String what) {
    return window[take(1, what)] & 0xFF;
  }

  int int16(String what) {
    int i = take(2, what);
    return (short) ((window[i] & 0xFF) | window[i + 1] << 8);
  }

  int int32(String what) {
    return int32At(take(4, what));
  }

  long uint32(String what) {
    return int32(what) & 0xFFFF_FFFFL;
  }

  long int64(String what) {
    int i = take(8, what);
    return (int32At(i) & 0xFFFF_FFFFL) | (long) int32At(i + 4) << 32;
  }

  float float32(String what) {
    return Float.intBitsToFloat(int32(what));
  }

  double float64(String what) {
    return Double.longBitsToDouble(int64(what));
  }

  private int int32At(int i) {
    return (window[i] & 0xFF)
        | (window[i + 1] & 0xFF) << 8
        | (window[i + 2] & 0xFF) << 16
        | window[i + 3] << 24;
  }

  /** Reads a count that cannot be larger than what is left of the file allows. */
  long count(String what, long smallestItemBytes, long limit) {
    long at = position;
    long count = int64(what);
    if (count < 0 || count > remaining() / smallestItemBytes) {
      throw fault(
          at,
          what
              + " is "
              + Long.toUnsignedString(count)
              + ", which cannot fit in the "
              + remaining()
              + " bytes that follow");
    }
    if (count > limit) {
      throw fault(at, what + " is " + count + ", more than the limit of " + limit);
    }
    return count;
  }

  /** Reads a text with its length prefix and checks that it is UTF-8. */
  String text(String what, long limit) {
    long length = count("the length of " + what, 1, limit);
    long at = position;
    byte[] bytes = bytes(length, what);
    int malformed = Utf8.firstMalformed(bytes, 0, bytes.length);
    if (malformed != Utf8.VALID) {
      throw fault(at + malformed, what + " is not valid UTF-8");
    }
    return new String(bytes, StandardCharsets.UTF_8);
  }

  byte[] bytes(long length, String what) {
    require(length, what);
    byte[] bytes = new byte[Math.toIntExact(length)];
    copy(bytes, 0, bytes.length);
    return bytes;
  }

  /** Reads texts with their length prefixes as one array. */
  GgufArray texts(int size, String what, long limit) {
    int[] ends = new int[size];
    byte[] bytes = new byte[(int) Math.min(limit, 16L * size)];
    long start = position;
    int total = 0;
    for (int i = 0; i < size; i++) {
      long at = position;
      long length = int64(what);
      if (length < 0 || length > remaining() || length > limit) {
        position = at;
        length = count("the length of element " + i + " of " + what, 1, limit);
      }
      if (total + length > limit) {
        throw fault(start, what + " holds more than " + limit + " bytes of text");
      }
      int end = total + (int) length;
      if (end > bytes.length) {
        bytes = Arrays.copyOf(bytes, (int) Math.min(limit, Math.max(end, 2L * bytes.length)));
      }
      at = position;
      copy(bytes, total, (int) length);
      int malformed = Utf8.firstMalformed(bytes, total, (int) length);
      if (malformed != Utf8.VALID) {
        throw fault(at + malformed, "element " + i + " of " + what + " is not valid UTF-8");
      }
      total = end;
      ends[i] = total;
    }
    return GgufArray.ofStrings(Arrays.copyOf(bytes, total), ends);
  }

  /** Copies what lies at the position, which must be there, and steps over it. */
  private void copy(byte[] target, int offset, int length) {
    long inWindow = position - windowStart;
    if (inWindow >= 0 && inWindow + length <= window.length) {
      System.arraycopy(window, (int) inWindow, target, offset, length);
    } else {
      MemorySegment.copy(file, ValueLayout.JAVA_BYTE, position, target, offset, length);
    }
    position += length;
  }

  GgufFormatException fault(long at, String what) {
    return new GgufFormatException(
        name
            + ", byte "
            + at
            + ": "
            + what
            + "; the file is damaged or was written wrongly: download or convert it again");
  }

  /** Steps over a few bytes and returns where in the window they are. */
  private int take(int count, String what) {
    require(count, what);
    long inWindow = position - windowStart;
    if (inWindow < 0 || inWindow + count > window.length) {
      windowStart = position;
      inWindow = 0;
      int bytes = (int) Math.min(WINDOW_BYTES, remaining());
      if (window.length != bytes) {
        window = new byte[bytes];
      }
      MemorySegment.copy(file, ValueLayout.JAVA_BYTE, position, window, 0, bytes);
    }
    position += count;
    return (int) inWindow;
  }

  private void require(long count, String what) {
    if (count > remaining()) {
      throw new GgufFormatException(
          name
              + " ends at byte "
              + length()
              + " in the middle of "
              + what
              + ": at least "
              + (count - remaining())
              + " bytes are missing; download it again");
    }
  }
}
