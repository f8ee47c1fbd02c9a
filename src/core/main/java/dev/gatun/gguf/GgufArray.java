package dev.gatun.gguf;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * An array of metadata, kept as its bytes in the file and decoded element by element.
 *
 * <p>A vocabulary of 250,000 tokens costs its bytes plus four for each token, not 250,000 objects.
 * Immutable; any thread.
 */
public final class GgufArray implements GgufValue {
  static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final GgufType elementType;
  private final int size;
  private final byte[] bytes;
  // Strings only: element i is bytes[ends[i - 1], ends[i]).
  private final int[] ends;
  private final List<GgufArray> nested;

  private GgufArray(
      GgufType elementType, int size, byte[] bytes, int[] ends, List<GgufArray> nested) {
    this.elementType = elementType;
    this.size = size;
    this.bytes = bytes;
    this.ends = ends;
    this.nested = nested;
  }

  static GgufArray ofNumbers(GgufType elementType, int size, byte[] bytes) {
    return new GgufArray(elementType, size, bytes, new int[0], List.of());
  }

  static GgufArray ofStrings(byte[] bytes, int[] ends) {
    return new GgufArray(GgufType.STRING, ends.length, bytes, ends, List.of());
  }

  static GgufArray ofArrays(List<GgufArray> arrays) {
    return new GgufArray(
        GgufType.ARRAY, arrays.size(), new byte[0], new int[0], List.copyOf(arrays));
  }

  /** Returns an array of texts. */
  public static GgufArray texts(List<String> values) {
    byte[][] encoded = new byte[values.size()][];
    int[] ends = new int[encoded.length];
    int total = 0;
    for (int i = 0; i < encoded.length; i++) {
      encoded[i] = values.get(i).getBytes(StandardCharsets.UTF_8);
      total = Math.addExact(total, encoded[i].length);
      ends[i] = total;
    }
    byte[] bytes = new byte[total];
    for (int i = 0; i < encoded.length; i++) {
      System.arraycopy(encoded[i], 0, bytes, ends[i] - encoded[i].length, encoded[i].length);
    }
    return ofStrings(bytes, ends);
  }

  /** Returns an array of {@link GgufType#FLOAT32} values. */
  public static GgufArray floats(float... values) {
    byte[] bytes = new byte[Math.multiplyExact(values.length, Float.BYTES)];
    MemorySegment segment = MemorySegment.ofArray(bytes);
    for (int i = 0; i < values.length; i++) {
      segment.set(FLOAT, (long) i * Float.BYTES, values[i]);
    }
    return ofNumbers(GgufType.FLOAT32, values.length, bytes);
  }

  /** Returns an array of {@link GgufType#INT32} values. */
  public static GgufArray ints(int... values) {
    return wholes(GgufType.INT32, Arrays.stream(values).asLongStream().toArray());
  }

  /**
   * Returns an array of whole numbers of an integer type.
   *
   * @throws IllegalArgumentException if the type is no integer type or a value does not fit in it
   */
  public static GgufArray wholes(GgufType type, long... values) {
    byte[] bytes = new byte[Math.multiplyExact(values.length, Math.max(1, type.bytes()))];
    MemorySegment segment = MemorySegment.ofArray(bytes);
    for (int i = 0; i < values.length; i++) {
      long value = new Whole(type, values[i]).value();
      long at = (long) i * type.bytes();
      switch (type.bytes()) {
        case 1 -> segment.set(ValueLayout.JAVA_BYTE, at, (byte) value);
        case 2 -> segment.set(SHORT, at, (short) value);
        case 4 -> segment.set(INT, at, (int) value);
        default -> segment.set(LONG, at, value);
      }
    }
    return ofNumbers(type, values.length, bytes);
  }

  /** Returns an array of {@link GgufType#BOOL} values. */
  public static GgufArray bools(boolean... values) {
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      bytes[i] = (byte) (values[i] ? 1 : 0);
    }
    return ofNumbers(GgufType.BOOL, values.length, bytes);
  }

  /** Returns {@link GgufType#ARRAY}. */
  @Override
  public GgufType type() {
    return GgufType.ARRAY;
  }

  /** Returns the type of the elements. */
  public GgufType elementType() {
    return elementType;
  }

  /** Returns the number of elements. */
  public int size() {
    return size;
  }

  /** Returns how many bytes the elements occupy, without length prefixes. */
  public int contentBytes() {
    return bytes.length;
  }

  /**
   * Returns element {@code index} as a value.
   *
   * @throws IndexOutOfBoundsException if there is no such element
   */
  public GgufValue get(int index) {
    Objects.checkIndex(index, size);
    return switch (elementType) {
      case FLOAT32, FLOAT64 -> new Real(elementType, real(index));
      case BOOL -> new Bool(bool(index));
      case STRING -> new Text(text(index));
      case ARRAY -> nested.get(index);
      default -> new Whole(elementType, whole(index));
    };
  }

  /**
   * Returns element {@code index} of an array of integers.
   *
   * @throws IndexOutOfBoundsException if there is no such element
   * @throws IllegalStateException if the elements are no integers
   */
  public long whole(int index) {
    Objects.checkIndex(index, size);
    return switch (elementType) {
      case UINT8 -> bytes[index] & 0xFF;
      case INT8 -> bytes[index];
      case UINT16 -> int16(2 * index) & 0xFFFF;
      case INT16 -> int16(2 * index);
      case UINT32 -> int32(4 * index) & 0xFFFF_FFFFL;
      case INT32 -> int32(4 * index);
      case UINT64, INT64 -> int64(8 * index);
      default -> throw new IllegalStateException("the elements are " + elementType);
    };
  }

  // By hand, because a vocabulary is looked through when a program starts, and segments are slow
  // before they are compiled.
  private short int16(int at) {
    return (short) ((bytes[at] & 0xFF) | bytes[at + 1] << 8);
  }

  private int int32(int at) {
    return (bytes[at] & 0xFF)
        | (bytes[at + 1] & 0xFF) << 8
        | (bytes[at + 2] & 0xFF) << 16
        | bytes[at + 3] << 24;
  }

  private long int64(int at) {
    return (int32(at) & 0xFFFF_FFFFL) | (long) int32(at + 4) << 32;
  }

  /**
   * Returns element {@code index} of an array of floating-point numbers.
   *
   * @throws IndexOutOfBoundsException if there is no such element
   * @throws IllegalStateException if the elements are no floating-point numbers
   */
  public double real(int index) {
    Objects.checkIndex(index, size);
    return switch (elementType) {
      case FLOAT32 -> Float.intBitsToFloat(int32(4 * index));
      case FLOAT64 -> Double.longBitsToDouble(int64(8 * index));
      default -> throw new IllegalStateException("the elements are " + elementType);
    };
  }

  /**
   * Returns element {@code index} of an array of truth values.
   *
   * @throws IndexOutOfBoundsException if there is no such element
   * @throws IllegalStateException if the elements are no truth values
   */
  public boolean bool(int index) {
    Objects.checkIndex(index, size);
    if (elementType != GgufType.BOOL) {
      throw new IllegalStateException("the elements are " + elementType);
    }
    return bytes[index] != 0;
  }

  /**
   * Returns element {@code index} of an array of texts.
   *
   * @throws IndexOutOfBoundsException if there is no such element
   * @throws IllegalStateException if the elements are no texts
   */
  public String text(int index) {
    Objects.checkIndex(index, size);
    if (elementType != GgufType.STRING) {
      throw new IllegalStateException("the elements are " + elementType);
    }
    int start = start(index);
    return new String(bytes, start, ends[index] - start, StandardCharsets.UTF_8);
  }

  /** Returns the length in bytes of text {@code index} without decoding it. */
  int textBytes(int index) {
    return ends[index] - start(index);
  }

  /** Returns byte {@code offset} of text {@code index}. */
  byte textByte(int index, int offset) {
    return bytes[start(index) + offset];
  }

  /** Returns a hash of text {@code index} up to its first NUL, without decoding it. */
  int textHash(int index) {
    int hash = 1;
    int end = endOfCText(index);
    for (int i = start(index); i < end; i++) {
      hash = hash * 31 + bytes[i];
    }
    return hash * 0x9E37_79B1;
  }

  /** Tells whether two texts are equal up to their first NUL, without decoding them. */
  boolean sameText(int index, int other) {
    return Arrays.equals(
        bytes, start(index), endOfCText(index), bytes, start(other), endOfCText(other));
  }

  /** Tells whether text {@code index} is empty or begins with a NUL. */
  boolean isEmptyText(int index) {
    return start(index) == endOfCText(index);
  }

  /** Native code reads texts up to their first NUL. */
  private int endOfCText(int index) {
    int end = start(index);
    while (end < ends[index] && bytes[end] != 0) {
      end++;
    }
    return end;
  }

  /** The elements' bytes as in the file, texts without their length prefixes. Read-only. */
  MemorySegment content() {
    return MemorySegment.ofArray(bytes).asReadOnly();
  }

  private int start(int index) {
    return index == 0 ? 0 : ends[index - 1];
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof GgufArray that
        && elementType == that.elementType
        && size == that.size
        && Arrays.equals(bytes, that.bytes)
        && Arrays.equals(ends, that.ends)
        && nested.equals(that.nested);
  }

  @Override
  public int hashCode() {
    return Objects.hash(elementType, size, Arrays.hashCode(bytes));
  }

  /** Returns a short description: element type and size, the elements when there are few. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder(elementType.name()).append('[').append(size).append(']');
    if (size <= 8) {
      for (int i = 0; i < size; i++) {
        text.append(i == 0 ? " " : ", ").append(get(i));
      }
    }
    return text.toString();
  }
}
