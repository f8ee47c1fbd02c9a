package dev.gatun;

import dev.gatun.gguf.GgmlType;
import dev.gatun.gguf.GgufArray;
import dev.gatun.gguf.GgufFile;
import dev.gatun.gguf.GgufTensor;
import dev.gatun.gguf.GgufValue;
import dev.gatun.gguf.GgufWriter;
import dev.gatun.gguf.SyntheticModel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;

/**
 * Small random models in F32 whose attention is peaked, so that a key at a wrong place changes the
 * logits much.
 */
final class ReferenceFiles {
  static final int TRAINED = 64;
  static final int VOCABULARY = 2048;
  private static final float BASE = 195;
  private static final float SHARPNESS = 1.3f;

  private ReferenceFiles() {}

  /** Writes a model with four heads of 64 elements over two key heads. */
  static Path write(Path folder, SyntheticModel.Family family, int layers) {
    return write(folder, family, layers, 256, 4, 2);
  }

  /** Writes a model. */
  static Path write(
      Path folder, SyntheticModel.Family family, int layers, int width, int heads, int keyHeads) {
    Path plain = folder.resolve("plain.gguf");
    boolean attention = family.hasAttention();
    SyntheticModel.write(
        new SyntheticModel.Shape(
            "reference",
            family,
            layers,
            width,
            attention ? heads : 0,
            attention ? keyHeads : 0,
            attention ? 128 : 0,
            VOCABULARY,
            TRAINED,
            true,
            GgmlType.F32,
            GgmlType.F32),
        TestModels.tiny(),
        plain,
        7);
    Path target = folder.resolve(family + "-" + layers + "-" + width + "-" + heads + ".gguf");
    sharpen(GgufFile.open(plain), family.architecture(), target);
    try {
      Files.delete(plain);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return target;
  }

  /** Makes a qwen2 model one whose positions have three axes. */
  static Path severalAxes(Path qwen2, Path folder) {
    GgufFile file = GgufFile.open(qwen2);
    GgufWriter writer = GgufWriter.copyOf(file);
    file.metadata()
        .forEach(
            (key, value) -> {
              if (key.startsWith("qwen2.")) {
                writer.remove(key).put("qwen2vl." + key.substring(6), value);
              }
            });
    writer
        .put("general.architecture", GgufValue.text("qwen2vl"))
        .put("qwen2vl.rope.dimension_sections", GgufArray.ints(16, 8, 8, 0));
    Path target = folder.resolve("axes.gguf");
    writer.write(target);
    return target;
  }

  private static void sharpen(GgufFile file, String architecture, Path target) {
    GgufWriter writer = new GgufWriter();
    file.metadata().forEach(writer::put);
    writer.put(architecture + ".rope.freq_base", GgufValue.float32(BASE));
    try (Arena arena = Arena.ofConfined()) {
      for (GgufTensor tensor : file.tensors()) {
        ByteBuffer from = file.mapTensor(tensor, arena).asByteBuffer();
        byte[] bytes = new byte[from.remaining()];
        from.get(bytes);
        if (tensor.type() == GgmlType.F32) {
          change(
              tensor.name(), ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer());
        }
        writer.tensor(tensor.name(), tensor.type(), tensor.dimensions(), out -> out.write(bytes));
      }
      writer.write(target);
    }
  }

  private static void change(String name, FloatBuffer values) {
    Random random = new Random(name.hashCode());
    boolean sharp = name.endsWith("attn_q.weight") || name.endsWith("attn_k.weight");
    boolean norm = name.endsWith("norm.weight");
    for (int i = 0; i < values.capacity(); i++) {
      if (sharp) {
        values.put(i, values.get(i) * SHARPNESS);
      } else if (norm) {
        values.put(i, values.get(i) * (0.7f + 0.6f * random.nextFloat()));
      }
    }
  }

  /** Returns tokens that a text could have. */
  static int[] tokens(int count, long seed) {
    return new Random(seed).ints(count, 3, VOCABULARY).toArray();
  }
}
