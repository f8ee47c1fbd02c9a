package dev.gatun.gguf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.TestModels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Random-weight models: sound, of the stated shape, and the same for the same seed. */
class SyntheticModelTest {
  @TempDir Path folder;

  static java.util.List<String> smallShapes() {
    return SyntheticModel.Shape.names().stream().filter(name -> name.endsWith("-tiny")).toList();
  }

  @ParameterizedTest
  @MethodSource("smallShapes")
  void shape_isWrittenSound(String name) {
    SyntheticModel.Shape shape = SyntheticModel.Shape.named(name);
    Path file = folder.resolve("model.gguf");
    SyntheticModel.write(shape, TestModels.tiny(), file, 7);
    GgufFile read = GgufFile.open(file).requireLoadable();
    assertEquals(name, read.model().name().orElseThrow());
    assertEquals(OptionalInt.of(shape.layers()), read.model().layerCount());
    assertEquals(OptionalInt.of(shape.vocabulary()), read.model().vocabularySize());
    GgufTensor embedding = read.tensor("token_embd.weight").orElseThrow();
    assertEquals(shape.width() + " x " + shape.vocabulary(), embedding.shape());
    assertEquals(shape.embedding(), embedding.type());
    assertFalse(read.tensor("output.weight").isPresent() && shape.tied());
  }

  @Test
  void sameSeed_sameBytes_otherSeed_others() throws IOException {
    SyntheticModel.Shape shape = SyntheticModel.Shape.named("qwen2-tiny");
    Path first = folder.resolve("first.gguf");
    Path second = folder.resolve("second.gguf");
    SyntheticModel.write(shape, TestModels.tiny(), first, 1);
    SyntheticModel.write(shape, TestModels.tiny(), second, 1);
    assertEquals(-1, Files.mismatch(first, second));
    SyntheticModel.write(shape, TestModels.tiny(), second, 2);
    assertNotEquals(-1, Files.mismatch(first, second));
  }

  @Test
  void unknownShape_listsTheKnown() {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> SyntheticModel.Shape.named("qwen9-900b"));
    assertTrue(e.getMessage().contains("qwen2-0.5b-q4_0"), e.getMessage());
  }

  @Test
  void vocabularyLargerThanTheShape_isRefused() {
    SyntheticModel.Shape shape =
        new SyntheticModel.Shape(
            "small",
            SyntheticModel.Family.LLAMA,
            1,
            64,
            2,
            1,
            64,
            100,
            64,
            true,
            GgmlType.F16,
            GgmlType.F16);
    assertThrows(
        IllegalArgumentException.class,
        () -> SyntheticModel.write(shape, TestModels.tiny(), folder.resolve("m.gguf"), 1));
  }

  @Test
  void impossibleShapes_areRefused() {
    assertThrows(IllegalArgumentException.class, () -> shape(64, 3, 1, GgmlType.F16));
    assertThrows(IllegalArgumentException.class, () -> shape(64, 4, 3, GgmlType.F16));
    assertThrows(IllegalArgumentException.class, () -> shape(48, 4, 2, GgmlType.Q4_0));
    assertThrows(IllegalArgumentException.class, () -> shape(256, 4, 2, GgmlType.Q4_K));
  }

  private static SyntheticModel.Shape shape(int width, int heads, int kvHeads, GgmlType type) {
    return new SyntheticModel.Shape(
        "s", SyntheticModel.Family.LLAMA, 1, width, heads, kvHeads, 64, 4096, 64, true, type, type);
  }
}
