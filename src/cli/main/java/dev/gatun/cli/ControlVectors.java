package dev.gatun.cli;

import dev.gatun.ControlVector;
import dev.gatun.gguf.GgmlType;
import dev.gatun.gguf.GgufFile;
import dev.gatun.gguf.GgufTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;

/** Adds up control vector files: GGUF files with float32 tensors {@code direction.LAYER}. */
final class ControlVectors {
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final float[][] directions;

  ControlVectors(int layers, int width) {
    directions = new float[layers][width];
  }

  void add(Path file, float scale) {
    GgufFile gguf = GgufFile.open(file);
    boolean found = false;
    try (Arena arena = Arena.ofConfined()) {
      for (GgufTensor tensor : gguf.tensors()) {
        if (tensor.name().startsWith("direction.")) {
          int layer = Values.whole(tensor.name(), tensor.name().substring(10), 1, 1 << 20);
          if (layer <= directions.length) {
            add(directions[layer - 1], gguf, tensor, arena, scale);
          }
          found = true;
        }
      }
    }
    if (!found) {
      throw CliException.file(file + " is not a control vector: it has no tensors direction.LAYER");
    }
  }

  private static void add(float[] sum, GgufFile gguf, GgufTensor tensor, Arena arena, float scale) {
    if (tensor.type() != GgmlType.F32 || tensor.elements() != sum.length) {
      throw CliException.file(
          "the control vector "
              + gguf.path()
              + " does not fit the model: "
              + tensor.name()
              + " is "
              + tensor.shape()
              + " "
              + tensor.type()
              + ", but "
              + sum.length
              + " F32 are needed");
    }
    MemorySegment data = gguf.mapTensor(tensor, arena);
    for (int i = 0; i < sum.length; i++) {
      sum[i] += scale * data.getAtIndex(FLOAT, i);
    }
  }

  ControlVector vector(int firstLayer, int lastLayer) {
    return new ControlVector(directions, firstLayer, lastLayer);
  }
}
