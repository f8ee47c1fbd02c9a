package dev.gatun.gguf;

import static org.junit.jupiter.api.Assertions.assertEquals;
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
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Models in several files. */
class GgufSplitsTest {
  private static final int PARTS = 3;

  @TempDir Path folder;

  private GgufFile whole() {
    return GgufFile.open(TestModels.tiny());
  }

  private Path part(int index) {
    return folder.resolve(GgufSplits.partName("tiny", index, PARTS));
  }

  private void split() {
    GgufFile whole = whole();
    int tensors = whole.tensors().size();
    for (int part = 0; part < PARTS; part++) {
      GgufWriter writer = new GgufWriter();
      if (part == 0) {
        whole.metadata().forEach(writer::put);
      }
      writer.put("split.no", new GgufValue.Whole(GgufType.UINT16, part));
      writer.put("split.count", new GgufValue.Whole(GgufType.UINT16, PARTS));
      writer.put("split.tensors.count", GgufValue.int32(tensors));
      for (GgufTensor tensor :
          whole.tensors().subList(part * tensors / PARTS, (part + 1) * tensors / PARTS)) {
        writer.tensor(
            tensor.name(),
            tensor.type(),
            tensor.dimensions(),
            out -> {
              try (Arena arena = Arena.ofConfined()) {
                out.write(whole.mapTensor(tensor, arena).toArray(ValueLayout.JAVA_BYTE));
              }
            });
      }
      writer.write(part(part));
    }
  }

  @Test
  void anyPart_opensTheWholeModel() {
    split();
    GgufFile whole = whole();
    for (int part = 0; part < PARTS; part++) {
      GgufFile read = GgufFile.open(part(part)).requireLoadable();
      assertEquals(PARTS, read.parts().size());
      assertEquals(
          whole.tensors().stream().map(GgufTensor::name).toList(),
          read.tensors().stream().map(GgufTensor::name).toList());
      assertEquals(whole.fingerprint(), read.fingerprint());
      GgufTensor last = read.tensors().getLast();
      assertEquals(PARTS - 1, last.part());
      try (Arena arena = Arena.ofConfined()) {
        assertEquals(
            -1,
            whole
                .mapTensor(whole.tensors().getLast(), arena)
                .mismatch(read.mapTensor(last, arena)));
      }
    }
  }

  @Test
  void copyOf_joinsTheParts() {
    split();
    Path joined = folder.resolve("joined.gguf");
    GgufWriter.copyOf(GgufFile.open(part(1))).write(joined);
    GgufFile read = GgufFile.open(joined);
    assertEquals(1, read.parts().size());
    assertEquals(whole().metadata(), read.metadata());
  }

  @Test
  void missingPart_isNamed() throws IOException {
    split();
    Files.delete(part(1));
    assertRefused(part(0), "part 2 (tiny-00002-of-00003.gguf) is not beside it");
  }

  @Test
  void renamedPart_isRefused() throws IOException {
    split();
    Path renamed = Files.copy(part(0), folder.resolve("tiny.gguf"));
    assertRefused(renamed, "give it its original name");
    Files.copy(part(1), folder.resolve("tiny-00003-of-00004.gguf"));
    assertRefused(folder.resolve("tiny-00003-of-00004.gguf"), "so its name is wrong");
  }

  @Test
  void partInAnothersPlace_isRefused() throws IOException {
    split();
    Files.copy(part(1), part(2), java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    assertRefused(part(0), "says it is part 2 of 3, not part 3 of 3");
  }

  @Test
  void partOfAnotherModel_isRefused() {
    split();
    GgufWriter.copyOf(GgufFile.open(part(0)))
        .put("split.no", new GgufValue.Whole(GgufType.UINT16, 1))
        .put("split.count", new GgufValue.Whole(GgufType.UINT16, PARTS))
        .put("general.name", GgufValue.text("another"))
        .write(part(1));
    assertRefused(part(0), "key 'general.name' is another here and gatun-tiny there");
  }

  @Test
  void tensorCountOrNumberType_thatIsWrong_isRefused() {
    split();
    new GgufWriter()
        .put("split.no", new GgufValue.Whole(GgufType.UINT16, 1))
        .put("split.count", new GgufValue.Whole(GgufType.UINT16, PARTS))
        .write(part(1));
    assertRefused(part(0), "but the parts hold");
    new GgufWriter()
        .put("split.no", GgufValue.uint32(1))
        .put("split.count", new GgufValue.Whole(GgufType.UINT16, PARTS))
        .tensor("t", GgmlType.F32, List.of(1L), out -> out.write(new byte[4]))
        .write(part(1));
    assertRefused(part(0), "as UINT32 instead of UINT16");
  }

  private static void assertRefused(Path file, String fragment) {
    GgufFormatException e = assertThrows(GgufFormatException.class, () -> GgufFile.open(file));
    assertTrue(e.getMessage().contains(fragment), e.getMessage());
  }
}
