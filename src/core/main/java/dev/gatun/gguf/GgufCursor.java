package dev.gatun.gguf;

import dev.gatun.error.GgufFormatException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;

/** Reads a mapped file forwards; every step is checked against the end of the file. */
final class GgufCursor {
  private final MemorySegment file;
  private final String name;
  private long position;

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
    return file.get(ValueLayout.JAVA_BYTE, take(1, what)) & 0xFF;
  }

  int int16(String what) {
    return file.get(GgufArray.SHORT, take(2, what));
  }

  int int32(String what) {
    return file.get(GgufArray.INT, take(4, what));
  }

  long uint32(String what) {
    return int32(what) & 0xFFFF_FFFFL;
  }

  long int64(String what) {
    return file.get(GgufArray.LONG, take(8, what));
  }

  float float32(String what) {
    return file.get(GgufArray.FLOAT, take(4, what));
  }

  double float64(String what) {
    return file.get(GgufArray.DOUBLE, take(8, what));
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
    long at = take(length, what);
    long malformed = Utf8.firstMalformed(file, at, length);
    if (malformed != Utf8.VALID) {
      throw fault(at + malformed, what + " is not valid UTF-8");
    }
    byte[] bytes = new byte[(int) length];
    MemorySegment.copy(file, ValueLayout.JAVA_BYTE, at, bytes, 0, bytes.length);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  byte[] bytes(long length, String what) {
    long at = take(length, what);
    byte[] bytes = new byte[Math.toIntExact(length)];
    MemorySegment.copy(file, ValueLayout.JAVA_BYTE, at, bytes, 0, bytes.length);
    return bytes;
  }

  /** Steps over texts with their length prefixes and returns them as one array. */
  GgufArray texts(int size, String what, long limit) {
    int[] ends = new int[size];
    long start = position;
    long total = 0;
    for (int i = 0; i < size; i++) {
      long length = count("the length of element " + i + " of " + what, 1, limit);
      take(length, what);
      total += length;
      if (total > limit) {
        throw fault(start, what + " holds more than " + limit + " bytes of text");
      }
      ends[i] = (int) total;
    }
    byte[] bytes = new byte[(int) total];
    long from = start;
    for (int i = 0; i < size; i++) {
      int begin = i == 0 ? 0 : ends[i - 1];
      int length = ends[i] - begin;
      from += Long.BYTES;
      MemorySegment.copy(file, ValueLayout.JAVA_BYTE, from, bytes, begin, length);
      long malformed = Utf8.firstMalformed(file, from, length);
      if (malformed != Utf8.VALID) {
        throw fault(from + malformed, "element " + i + " of " + what + " is not valid UTF-8");
      }
      from += length;
    }
    return GgufArray.ofStrings(bytes, ends);
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

  private long take(long count, String what) {
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
    long at = position;
    position += count;
    return at;
  }
}
