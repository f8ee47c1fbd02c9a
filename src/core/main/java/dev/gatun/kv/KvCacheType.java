package dev.gatun.kv;

/** The type in which keys or values stand in the KV cache. */
public enum KvCacheType {
  /** 32-bit floats: 4 bytes an element. */
  F32(0, 1, 4),
  /** 16-bit floats: 2 bytes an element; the default. */
  F16(1, 1, 2),
  /** bfloat16: 2 bytes an element. A context shift is not possible with keys of this type. */
  BF16(30, 1, 2),
  /** 8-bit blocks of 32: 1.0625 bytes an element. */
  Q8_0(8, 32, 34),
  /** 4-bit blocks of 32: 0.5625 bytes an element. */
  Q4_0(2, 32, 18),
  /** 4-bit blocks of 32 with a minimum: 0.625 bytes an element. */
  Q4_1(3, 32, 20),
  /** 4-bit blocks of 32, non-linear levels: 0.5625 bytes an element. */
  IQ4_NL(20, 32, 18),
  /** 5-bit blocks of 32: 0.6875 bytes an element. */
  Q5_0(6, 32, 22),
  /** 5-bit blocks of 32 with a minimum: 0.75 bytes an element. */
  Q5_1(7, 32, 24);

  private final int ggmlType;
  private final int blockElements;
  private final int blockBytes;

  KvCacheType(int ggmlType, int blockElements, int blockBytes) {
    this.ggmlType = ggmlType;
    this.blockElements = blockElements;
    this.blockBytes = blockBytes;
  }

  /** Returns the value of {@code enum ggml_type}. */
  public int ggmlType() {
    return ggmlType;
  }

  /** Returns the number of elements in a block; a row's length must be a multiple of it. */
  public int blockElements() {
    return blockElements;
  }

  /** Returns the bytes of a block. */
  public int blockBytes() {
    return blockBytes;
  }

  /** Tells whether the type is quantised in blocks. */
  public boolean isQuantised() {
    return blockElements > 1;
  }

  /**
   * Returns the bytes of a row; {@link Long#MAX_VALUE} for more than that.
   *
   * @param elements elements in the row, a multiple of {@link #blockElements()}
   * @throws IllegalArgumentException if the block size does not divide the row
   */
  public long rowBytes(long elements) {
    if (elements < 0 || elements % blockElements != 0) {
      throw new IllegalArgumentException(
          "a row of %d elements is not whole blocks of %d".formatted(elements, blockElements));
    }
    return KvPlan.times(elements / blockElements, blockBytes);
  }
}
