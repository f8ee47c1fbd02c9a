package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.gatun.gguf.GgufFile;
import dev.gatun.gguf.GgufValue;
import dev.gatun.gguf.GgufWriter;
import dev.gatun.gguf.ModelMetadata;
import dev.gatun.kv.KvLayout;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StateIdentityTest {
  @TempDir Path folder;

  /** What a plan counts is what a saved state has. */
  @ParameterizedTest
  @CsvSource({
    "deepseek2,128,true",
    "mistral4,128,true",
    "bailingmoe3,128,true",
    "kimi-linear,128,true",
    "deepseek2,0,false",
    "llama,128,false"
  })
  void cellsWithoutValues_areThoseOfCompressedAttention(
      String architecture, int length, boolean compressed) {
    GgufWriter writer = new GgufWriter();
    writer.put("general.architecture", GgufValue.text(architecture));
    Map.of(
            "block_count", 4,
            "embedding_length", 256,
            "attention.head_count", 2,
            "attention.key_length_mla", length,
            "attention.value_length_mla", length)
        .forEach((key, value) -> writer.put(architecture + "." + key, GgufValue.uint32(value)));
    Path file = folder.resolve("model.gguf");
    writer.write(file);
    ModelMetadata metadata = GgufFile.open(file).model();
    assertEquals(compressed, KvLayout.of(metadata).orElseThrow().compressed());
    assertEquals(compressed, StateIdentity.isLatent(metadata));
  }
}
