package dev.gatun.gguf;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.TestModels;
import dev.gatun.error.GgufFormatException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** LoRA adapters on which llama.cpp ends the process: refused before it sees them. */
class AdapterFileCheckTest {
  @TempDir Path folder;

  private final GgufFile base = GgufFile.open(TestModels.tiny());

  private static GgufWriter adapter() {
    return new GgufWriter()
        .put("general.type", GgufValue.text("adapter"))
        .put("general.architecture", GgufValue.text("llama"))
        .put("adapter.type", GgufValue.text("lora"))
        .put("adapter.lora.alpha", GgufValue.float32(8));
  }

  private static GgufWriter with(GgufWriter writer, String name, GgmlType type, Long... shape) {
    long elements = 1;
    for (long size : shape) {
      elements *= size;
    }
    byte[] zeros = new byte[Math.toIntExact(type.bytes(elements))];
    return writer.tensor(name, type, List.of(shape), out -> out.write(zeros));
  }

  private GgufFile written(GgufWriter writer) {
    Path file = folder.resolve("adapter.gguf");
    writer.write(file);
    return GgufFile.open(file);
  }

  private void assertRefused(GgufWriter writer, String fragment) {
    GgufFile adapter = written(writer);
    GgufFormatException e =
        assertThrows(GgufFormatException.class, () -> adapter.requireLoadableAdapter(base));
    assertTrue(e.getMessage().contains(fragment), e.getMessage());
  }

  @Test
  void soundAdapter_passes() {
    GgufWriter writer = adapter();
    with(writer, "blk.0.attn_q.weight.lora_a", GgmlType.F16, 256L, 8L);
    with(writer, "blk.0.attn_q.weight.lora_b", GgmlType.F16, 8L, 256L);
    GgufFile adapter = written(writer);
    assertDoesNotThrow(() -> adapter.requireLoadableAdapter(base));
  }

  @Test
  void keysOfTheWrongType_areRefused() {
    assertRefused(adapter().put("general.type", GgufValue.uint32(1)), "must be a text");
    assertRefused(adapter().put("adapter.type", GgufValue.bool(true)), "must be a text");
    assertRefused(
        adapter().put("adapter.lora.alpha", GgufValue.uint32(8)), "must be a finite FLOAT32");
    assertRefused(
        adapter().put("adapter.lora.alpha", GgufValue.float32(Float.NaN)), "finite FLOAT32");
  }

  @Test
  void tensorsThatCannotBeMultiplied_areRefused() {
    assertRefused(
        with(adapter(), "blk.0.attn_q.weight.lora_a", GgmlType.I32, 256L, 8L),
        "must be one to compute with");
    assertRefused(
        with(adapter(), "blk.0.attn_q.weight.lora_a", GgmlType.F16, 256L, 8L, 2L),
        "must fit that of the model's tensor, 256 x 256");
  }

  @Test
  void embeddingThatIsTheOutputAsWell_isRefused() {
    assertRefused(
        with(adapter(), "token_embd.weight.lora_a", GgmlType.F16, 8L, 2048L),
        "the model's output matrix is the same tensor");
  }
}
