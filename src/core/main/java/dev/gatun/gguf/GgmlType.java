package dev.gatun.gguf;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The element types of tensors, with the size of their blocks.
 *
 * <p>A row of a tensor is a whole number of blocks. Immutable; any thread.
 */
public enum GgmlType {
  F32(0, 1, 4),
  F16(1, 1, 2),
  Q4_0(2, 32, 18),
  Q4_1(3, 32, 20),
  Q5_0(6, 32, 22),
  Q5_1(7, 32, 24),
  Q8_0(8, 32, 34),
  Q8_1(9, 32, 36),
  Q2_K(10, 256, 84),
  Q3_K(11, 256, 110),
  Q4_K(12, 256, 144),
  Q5_K(13, 256, 176),
  Q6_K(14, 256, 210),
  Q8_K(15, 256, 292),
  IQ2_XXS(16, 256, 66),
  IQ2_XS(17, 256, 74),
  IQ3_XXS(18, 256, 98),
  IQ1_S(19, 256, 50),
  IQ4_NL(20, 32, 18),
  IQ3_S(21, 256, 110),
  IQ2_S(22, 256, 82),
  IQ4_XS(23, 256, 136),
  I8(24, 1, 1),
  I16(25, 1, 2),
  I32(26, 1, 4),
  I64(27, 1, 8),
  F64(28, 1, 8),
  IQ1_M(29, 256, 56),
  BF16(30, 1, 2),
  TQ1_0(34, 256, 54),
  TQ2_0(35, 256, 66),
  MXFP4(39, 32, 17),
  NVFP4(40, 64, 36),
  Q1_0(41, 128, 18),
  Q2_0(42, 64, 18);

  private static final int CODES = 43;
  private static final @Nullable GgmlType[] BY_CODE = byCode();

  private final int code;
  private final int blockElements;
  private final int blockBytes;

  GgmlType(int code, int blockElements, int blockBytes) {
    this.code = code;
    this.blockElements = blockElements;
    this.blockBytes = blockBytes;
  }

  /** Returns the code that stands for this type in a file ({@code enum ggml_type}). */
  public int code() {
    return code;
  }

  /** Returns the number of elements of one block. */
  public int blockElements() {
    return blockElements;
  }

  /** Returns the size of one block in bytes. */
  public int blockBytes() {
    return blockBytes;
  }

  /** Returns the mean number of bits for one element. */
  public double bitsPerElement() {
    return 8.0 * blockBytes / blockElements;
  }

  /** Tells whether elements share scales in blocks. */
  public boolean isQuantised() {
    return blockElements > 1;
  }

  /**
   * Returns the size of {@code elements} elements in bytes.
   *
   * @throws ArithmeticException if the size does not fit in a {@code long}
   * @throws IllegalArgumentException if {@code elements} is negative or not a multiple of the block
   */
  public long bytes(long elements) {
    if (elements < 0 || elements % blockElements != 0) {
      throw new IllegalArgumentException(
          elements + " elements are not a whole number of blocks of " + blockElements);
    }
    return Math.multiplyExact(elements / blockElements, (long) blockBytes);
  }

  /**
   * Returns the type with this name, in either case: {@code "q4_0"}.
   *
   * @throws IllegalArgumentException if there is none
   */
  public static GgmlType named(String name) {
    return valueOf(name.toUpperCase(Locale.ROOT));
  }

  static @Nullable GgmlType ofCode(int code) {
    return code >= 0 && code < CODES ? BY_CODE[code] : null;
  }

  private static @Nullable GgmlType[] byCode() {
    @Nullable GgmlType[] table = new @Nullable GgmlType[CODES];
    for (GgmlType type : values()) {
      table[type.code] = type;
    }
    return table;
  }
}
