package dev.gatun.gguf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.gatun.TestModels;
import dev.gatun.error.GgufFormatException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Unsound containers: each is refused with what is wrong and what to do. */
class GgufRefusalTest {
  @TempDir Path folder;

  static Stream<Arguments> unsound() {
    return Stream.of(
        arguments(new RawGguf().ascii("GGUF").i32(1), "version 1 is no longer read"),
        arguments(new RawGguf().ascii("GGUF").i32(4), "version 4 is unknown"),
        arguments(new RawGguf().ascii("GGUF").bytes(0, 0, 0, 3), "big endian"),
        arguments(new RawGguf().ascii("GGUF").i32(3).i64(0), "in the middle of the number of"),
        arguments(RawGguf.header(-1, 0), "number of tensors is 18446744073709551615"),
        arguments(RawGguf.header(0, 1L << 40), "number of metadata keys is 1099511627776"),
        arguments(RawGguf.header(0, 1).i64(1000).ascii("x".repeat(20)), "length of metadata key 0"),
        arguments(RawGguf.header(0, 1).key("", 4).i64(7), "metadata key 0 is empty"),
        arguments(RawGguf.header(0, 1).key("a\0b", 4).i32(7), "holds a NUL"),
        arguments(
            RawGguf.header(0, 1).i64(2).bytes(0xC3, 0x28).i32(4).i32(7), "is not valid UTF-8"),
        arguments(
            RawGguf.header(0, 2).key("k", 4).i32(7).key("k", 4).i32(7), "key 'k' appears twice"),
        arguments(RawGguf.header(0, 1).key("k", 13).i32(7), "unknown type 13"),
        arguments(RawGguf.header(0, 1).key("k", 7).bytes(2), "which is no truth value"),
        arguments(
            RawGguf.header(0, 1).key("k", 9).i32(7).i64(2).bytes(1, 3), "holds 3 as a truth value"),
        arguments(RawGguf.header(0, 1).key("k", 8).i64(5).ascii("ab"), "the length of the value"),
        arguments(RawGguf.header(0, 1).key("k", 9).i32(4).i64(1L << 60), "number of elements"),
        arguments(
            RawGguf.header(0, 1).key("k", 9).i32(8).i64(1).i64(2).bytes(0xFF, 0xFF),
            "element 0 of the value of key 'k' is not valid UTF-8"),
        arguments(
            RawGguf.header(0, 1)
                .key("k", 9)
                .i32(9)
                .i64(1)
                .i32(9)
                .i64(1)
                .i32(9)
                .i64(1)
                .i32(9)
                .i64(1)
                .i32(9)
                .i64(0),
            "nests arrays deeper"),
        arguments(
            RawGguf.header(0, 1).key("general.alignment", 4).i32(12), "must be a power of two"),
        arguments(RawGguf.header(0, 1).key("general.alignment", 10).i64(32), "but must be UINT32"),
        arguments(RawGguf.header(1, 0).tensor("", 0, 0, 8L).data(32), "tensor 0 is empty"),
        arguments(
            RawGguf.header(1, 0).tensor("t".repeat(64), 0, 0, 8L).data(32), "the limit of 63"),
        arguments(
            RawGguf.header(1, 0).tensor("t", 0, 0, 1L, 1L, 1L, 1L, 1L).data(32), "5 dimensions"),
        arguments(RawGguf.header(1, 0).tensor("t", 0, 0, 0L).data(32), "is 0, not positive"),
        arguments(
            RawGguf.header(1, 0).tensor("t", 0, 0, 1L << 40, 1L << 40).data(32), "more elements"),
        arguments(
            RawGguf.header(1, 0).tensor("t", 0, 0, 1L << 62).data(32), "more bytes than 63 bits"),
        arguments(RawGguf.header(1, 0).tensor("t", 4, 0, 8L).data(32), "retired type 4"),
        arguments(RawGguf.header(1, 0).tensor("t", 2, 0, 33L).data(32), "a multiple of its block"),
        arguments(RawGguf.header(1, 0).tensor("t", 0, 4, 8L).data(64), "multiple of the alignment"),
        arguments(RawGguf.header(1, 0).tensor("t", 0, -32, 8L).data(32), "beyond 63 bits"),
        arguments(RawGguf.header(1, 0).tensor("t", 0, 0, 64L).data(32), "is cut short"),
        arguments(
            RawGguf.header(2, 0).tensor("t", 0, 0, 16L).tensor("u", 0, 32, 8L).data(96), "overlap"),
        arguments(
            RawGguf.header(2, 0).tensor("t", 0, 0, 8L).tensor("t", 0, 32, 8L).data(96),
            "tensor 't' appears twice"));
  }

  @ParameterizedTest(name = "{1}")
  @MethodSource("unsound")
  void unsoundContainer_isRefused(RawGguf raw, String fragment) {
    assertRefused(raw.write(folder.resolve("unsound.gguf")), fragment);
  }

  @ParameterizedTest
  @CsvSource({
    "<!DOCTYPE html><html>, web page",
    "version https://git-lfs.github.com/spec/v1, Git LFS pointer",
    "PK\u0003\u0004xxxxxxxx, zip archive",
    "{\"error\":1}, JSON",
    "tjggxxxxxxxx, August 2023",
    "FUGGxxxxxxxx, byte-swapped",
    "hello world, 68 65 6c 6c"
  })
  void otherFormats_areRecognised(String content, String fragment) throws IOException {
    Path file = Files.writeString(folder.resolve("other.gguf"), content);
    assertRefused(file, fragment);
  }

  @Test
  void noFile_aFolder_anEmptyFile() throws IOException {
    assertRefused(folder.resolve("none.gguf"), "does not exist");
    assertRefused(folder, "is a folder");
    assertRefused(Files.createFile(folder.resolve("empty.gguf")), "empty.gguf");
  }

  @Test
  void everyTruncationOfTheHeader_isRefused() throws IOException {
    byte[] tiny = Files.readAllBytes(TestModels.tiny());
    Path file = folder.resolve("cut.gguf");
    for (int length = 1; length < 3000; length += 7) {
      Files.write(file, java.util.Arrays.copyOf(tiny, length));
      assertThrows(GgufFormatException.class, () -> GgufFile.open(file));
    }
  }

  @Test
  void mutatedFiles_areReadOrRefused_neverAnythingElse() throws IOException {
    Path small = folder.resolve("small.gguf");
    SyntheticModel.write(
        new SyntheticModel.Shape(
            "small",
            SyntheticModel.Family.LLAMA_MOE,
            2,
            64,
            4,
            2,
            64,
            2048,
            64,
            true,
            GgmlType.F16,
            GgmlType.Q8_0),
        TestModels.tiny(),
        small,
        1);
    GgufMutator mutator = new GgufMutator(small);
    Path file = folder.resolve("mutant.gguf");
    int refused = 0;
    for (int seed = 0; seed < 2000; seed++) {
      GgufMutator.Mutation mutation = mutator.mutate(seed);
      Files.write(file, mutation.bytes());
      try {
        GgufFile read = GgufFile.open(file).requireLoadable();
        assertTrue(read.fingerprint().matches("[0-9a-f]{64}"), mutation.description());
      } catch (GgufFormatException e) {
        assertTrue(e.getMessage().contains("mutant.gguf"), e.getMessage());
        refused++;
      } catch (RuntimeException | Error e) {
        throw new AssertionError("seed " + seed + ", " + mutation.description(), e);
      }
    }
    assertTrue(refused > 400 && refused < 1900, refused + " were refused");
  }

  @Test
  void writer_refusesWhatNoFileMayHold() {
    GgufWriter writer = new GgufWriter();
    assertThrows(IllegalArgumentException.class, () -> writer.put("", GgufValue.bool(true)));
    assertThrows(
        IllegalArgumentException.class, () -> writer.put("general.alignment", GgufValue.uint32(3)));
    assertThrows(
        IllegalArgumentException.class,
        () -> writer.tensor("t", GgmlType.Q4_0, List.of(31L), out -> {}));
    assertThrows(
        IllegalArgumentException.class,
        () -> writer.tensor("t".repeat(64), GgmlType.F32, List.of(1L), out -> {}));
    writer.tensor("t", GgmlType.F32, List.of(1L), out -> {});
    assertThrows(
        IllegalArgumentException.class,
        () -> writer.tensor("t", GgmlType.F32, List.of(1L), out -> {}));
    assertThrows(IllegalArgumentException.class, () -> new GgufValue.Whole(GgufType.UINT8, 256));
    assertEquals(36, GgmlType.named("q4_0").bytes(64));
  }

  private static void assertRefused(Path file, String fragment) {
    GgufFormatException e = assertThrows(GgufFormatException.class, () -> GgufFile.open(file));
    assertTrue(e.getMessage().contains(fragment), e.getMessage());
  }
}
