package dev.gatun.gguf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.TestModels;
import dev.gatun.error.GgufFormatException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is written is read back, and real files say what is known of them. */
class GgufFileTest {
  @TempDir Path folder;

  @Test
  void everyValueType_roundTrips() {
    Map<String, GgufValue> values =
        Map.ofEntries(
            Map.entry("u8", new GgufValue.Whole(GgufType.UINT8, 255)),
            Map.entry("i8", new GgufValue.Whole(GgufType.INT8, -128)),
            Map.entry("u16", new GgufValue.Whole(GgufType.UINT16, 65_535)),
            Map.entry("i16", new GgufValue.Whole(GgufType.INT16, -32_768)),
            Map.entry("u32", GgufValue.uint32(4_294_967_295L)),
            Map.entry("i32", GgufValue.int32(Integer.MIN_VALUE)),
            Map.entry("u64", GgufValue.uint64(-1)),
            Map.entry("i64", new GgufValue.Whole(GgufType.INT64, Long.MIN_VALUE)),
            Map.entry("f32", GgufValue.float32(0.1f)),
            Map.entry("f64", new GgufValue.Real(GgufType.FLOAT64, 0.1)),
            Map.entry("bool", GgufValue.bool(true)),
            Map.entry("text", GgufValue.text("Ünïcode 😀\n")),
            Map.entry("empty text", GgufValue.text("")),
            Map.entry("texts", GgufArray.texts(List.of("", "a", "ö", "long ".repeat(100)))),
            Map.entry("floats", GgufArray.floats(1, -0.5f, Float.NaN)),
            Map.entry("bools", GgufArray.bools(true, false)),
            Map.entry("ints", GgufArray.ints(1, -2, 3)),
            Map.entry("longs", GgufArray.wholes(GgufType.UINT64, 1, -1)),
            Map.entry("bytes", GgufArray.wholes(GgufType.UINT8, 0, 255)),
            Map.entry("none", GgufArray.texts(List.of())),
            Map.entry(
                "nested",
                GgufArray.ofArrays(
                    List.of(GgufArray.ints(1), GgufArray.texts(List.of("deep", ""))))));
    GgufWriter writer = new GgufWriter();
    values.forEach(writer::put);
    Path file = folder.resolve("values.gguf");
    writer.write(file);

    GgufFile read = GgufFile.open(file);
    assertEquals(values, read.metadata());
    assertEquals(writer.fileBytes(), read.fileBytes());
    assertEquals("18446744073709551615", read.metadata().get("u64").toString());
  }

  @Test
  void tensors_roundTrip_withTheirData() {
    byte[] first = {1, 2, 3, 4, 5, 6, 7, 8};
    byte[] second = new byte[2 * 18];
    second[35] = 9;
    Path file = folder.resolve("tensors.gguf");
    new GgufWriter()
        .put("general.alignment", GgufValue.uint32(64))
        .tensor("a", GgmlType.F32, List.of(2L), out -> out.write(first))
        .tensor("b", GgmlType.Q4_0, List.of(32L, 2L), out -> out.write(second))
        .write(file);

    GgufFile read = GgufFile.open(file);
    assertEquals(66, read.parameterCount());
    assertEquals(44, read.tensorBytes());
    GgufTensor tensor = read.tensor("b").orElseThrow();
    assertEquals("32 x 2", tensor.shape());
    assertEquals(0, tensor.fileOffset() % 64);
    try (Arena arena = Arena.ofConfined()) {
      assertEquals(36, read.mapTensor(tensor, arena).byteSize());
      assertEquals(9, read.mapTensor(tensor, arena).get(ValueLayout.JAVA_BYTE, 35));
    }
  }

  @Test
  void copyOf_isTheSameModel() {
    GgufFile tiny = GgufFile.open(TestModels.tiny());
    Path copy = folder.resolve("copy.gguf");
    GgufWriter.copyOf(tiny).write(copy);
    GgufFile read = GgufFile.open(copy);
    assertEquals(tiny.metadata(), read.metadata());
    assertEquals(tiny.fingerprint(), read.fingerprint());
    GgufTensor norm = tiny.tensor("output_norm.weight").orElseThrow();
    try (Arena arena = Arena.ofConfined()) {
      assertEquals(
          -1,
          tiny.mapTensor(norm, arena)
              .mismatch(read.mapTensor(read.tensor(norm.name()).orElseThrow(), arena)));
    }
    GgufWriter.copyOf(tiny).put("general.name", GgufValue.text("other")).write(copy);
    assertNotEquals(tiny.fingerprint(), GgufFile.open(copy).fingerprint());
  }

  @Test
  void failedWrite_leavesTheOldFile_andNothingElse() throws IOException {
    Path file = folder.resolve("old.gguf");
    Files.writeString(file, "old");
    GgufWriter writer =
        new GgufWriter().tensor("a", GgmlType.F32, List.of(2L), out -> out.write(new byte[4]));
    assertThrows(IllegalStateException.class, () -> writer.write(file));
    assertEquals("old", Files.readString(file));
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(List.of(file), files.toList());
    }
  }

  @Test
  void tinyModel_saysWhatItsCardSays() {
    GgufFile file = GgufFile.open(TestModels.tiny());
    assertEquals(3, file.version());
    ModelMetadata model = file.model();
    assertEquals("llama", model.architecture());
    assertEquals("gatun-tiny", model.name().orElseThrow());
    assertEquals(OptionalLong.of(256), model.trainedContextTokens());
    assertEquals(OptionalLong.of(256), model.embeddingLength());
    assertEquals(OptionalInt.of(4), model.layerCount());
    assertEquals(OptionalInt.of(512), model.feedForwardLength(3));
    assertEquals(OptionalInt.of(4), model.headCount(0));
    assertEquals(OptionalInt.of(2), model.kvHeadCount(0));
    assertEquals(OptionalInt.of(64), model.headSizeK());
    assertEquals(OptionalInt.of(64), model.headSizeV());
    assertEquals(OptionalInt.of(2048), model.vocabularySize());
    assertEquals("llama", model.tokenizerModel().orElseThrow());
    assertEquals("F16", model.quantisation());
    assertEquals(195, model.rope().base());
    assertEquals(OptionalLong.of(64), model.rope().dimensions());
    assertEquals(7.3, model.rope().yarnBetaFast().orElseThrow(), 1e-6);
    assertEquals(OptionalDouble.of(1), model.rope().yarnBetaSlow());
    assertEquals(Map.of("bos", 1, "eos", 2, "unknown", 0, "eot", 6), model.specialTokens());
    assertTrue(model.chatTemplate().orElseThrow().contains("<|assistant|>"));
    assertFalse(model.isVocabularyOnly());
    assertTrue(model.slidingWindowTokens().isEmpty());
    assertEquals(2_885_888, file.parameterCount());
    GgufArray tokens = file.array("tokenizer.ggml.tokens").orElseThrow();
    assertEquals("<|assistant|>", tokens.text(5));
  }

  @Test
  void wrongTypeOfAKey_isNamed() {
    GgufFile file = GgufFile.open(TestModels.tiny());
    GgufFormatException e =
        assertThrows(GgufFormatException.class, () -> file.uint32("general.name"));
    assertTrue(e.getMessage().contains("key 'general.name' is of type STRING"), e.getMessage());
  }

  @Test
  void realTokenizerFiles_ofThePinnedTree_parseAndMayBeLoaded() throws IOException {
    List<Path> files;
    try (Stream<Path> list = Files.list(TestModels.llamaCpp().resolve("models"))) {
      files =
          list.filter(path -> path.getFileName().toString().matches("ggml-vocab-.*\\.gguf"))
              .toList();
    }
    assertTrue(files.size() >= 15, files.size() + " files");
    for (Path path : files) {
      GgufFile file = GgufFile.open(path).requireLoadable();
      assertTrue(file.model().isVocabularyOnly(), path.toString());
      assertTrue(file.model().vocabularySize().orElse(0) > 1000, path.toString());
    }
  }
}
