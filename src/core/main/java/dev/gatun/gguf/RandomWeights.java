package dev.gatun.gguf;

import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;

/** Makes tensor data from a seed, a piece at a time, straight in the type's block layout. */
final class RandomWeights {
  private static final int BLOCKS_AT_ONCE = 4096;
  // Standard deviations of the uniform numbers that one block stores.
  private static final double DEVIATION_4_BIT = Math.sqrt((16 * 16 - 1) / 12.0);
  private static final double DEVIATION_8_BIT = Math.sqrt((256 * 256 - 1) / 12.0);
  private static final double DEVIATION_UNIT = Math.sqrt(1 / 3.0);

  private RandomWeights() {}

  static void requireSupported(GgmlType type) {
    switch (type) {
      case F32, F16, BF16, Q4_0, Q8_0 -> {}
      default ->
          throw new IllegalArgumentException(
              "random weights are made as F32, F16, BF16, Q4_0 or Q8_0, not as " + type);
    }
  }

  /** Returns elements with mean 0 and the given standard deviation, evenly distributed. */
  static GgufWriter.TensorData of(GgmlType type, long elements, double deviation, long seed) {
    requireSupported(type);
    long blocks = elements / type.blockElements();
    return out -> {
      SplittableRandom random = new SplittableRandom(seed);
      byte[] piece = new byte[BLOCKS_AT_ONCE * type.blockBytes()];
      MemorySegment view = MemorySegment.ofArray(piece);
      for (long at = 0; at < blocks; at += BLOCKS_AT_ONCE) {
        int count = (int) Math.min(BLOCKS_AT_ONCE, blocks - at);
        fill(type, random, piece, view, count, deviation);
        out.write(piece, 0, count * type.blockBytes());
      }
    };
  }

  /** Returns equal rows of F32 that begin with {@code first} and grow by {@code step}. */
  static GgufWriter.TensorData ramp(float first, float step, long size, long rows) {
    byte[] row = new byte[Math.toIntExact(size * Float.BYTES)];
    MemorySegment view = MemorySegment.ofArray(row);
    for (int i = 0; i < size; i++) {
      view.set(GgufArray.FLOAT, (long) i * Float.BYTES, first + i * step);
    }
    return out -> {
      for (long i = 0; i < rows; i++) {
        out.write(row);
      }
    };
  }

  private static void fill(
      GgmlType type,
      SplittableRandom random,
      byte[] piece,
      MemorySegment view,
      int blocks,
      double deviation) {
    switch (type) {
      case Q4_0 -> {
        random.nextBytes(piece);
        scales(random, view, blocks, type.blockBytes(), deviation / DEVIATION_4_BIT);
      }
      case Q8_0 -> {
        random.nextBytes(piece);
        scales(random, view, blocks, type.blockBytes(), deviation / DEVIATION_8_BIT);
      }
      default -> {
        double range = deviation / DEVIATION_UNIT;
        for (int i = 0; i < blocks; i++) {
          float value = (float) random.nextDouble(-range, range);
          switch (type) {
            case F16 -> view.set(GgufArray.SHORT, 2L * i, Float.floatToFloat16(value));
            case BF16 ->
                view.set(GgufArray.SHORT, 2L * i, (short) (Float.floatToRawIntBits(value) >>> 16));
            default -> view.set(GgufArray.FLOAT, 4L * i, value);
          }
        }
      }
    }
  }

  /** Sets the half-precision factor at the start of each block; its sign keeps the mean at 0. */
  private static void scales(
      SplittableRandom random, MemorySegment view, int blocks, int blockBytes, double scale) {
    short plus = Float.floatToFloat16((float) scale);
    short minus = Float.floatToFloat16((float) -scale);
    for (int i = 0; i < blocks; i++) {
      view.set(GgufArray.SHORT, (long) i * blockBytes, random.nextBoolean() ? plus : minus);
    }
  }
}
