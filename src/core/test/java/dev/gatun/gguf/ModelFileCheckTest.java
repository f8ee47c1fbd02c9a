package dev.gatun.gguf;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.gatun.TestModels;
import dev.gatun.error.GgufFormatException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Sound containers with values on which llama.cpp ends the process are refused before. */
class ModelFileCheckTest {
  @TempDir Path folder;

  private static Arguments tiny(String key, GgufValue value, String fragment) {
    return arguments("", key, value, fragment);
  }

  private static GgufArray four(int first, int last) {
    return GgufArray.ints(first, first, first, last);
  }

  static Stream<Arguments> hostile() {
    return Stream.of(
        tiny("general.architecture", GgufValue.text("clip"), "that of a language model"),
        tiny("llama.block_count", GgufValue.uint32(0), "is 0 but must be between 1 and 512"),
        tiny("llama.block_count", GgufValue.uint32(513), "is 513 but must be between 1 and 512"),
        tiny("llama.nextn_predict_layers", GgufValue.uint32(4), "between 0 and 3"),
        tiny("llama.context_length", GgufValue.uint32(1L << 31), "between 0 and 2147483647"),
        tiny("llama.attention.head_count", GgufValue.uint32(0), "must be at least 1"),
        tiny("llama.attention.head_count", GgufValue.uint32(100_000), "at most 65536"),
        tiny("llama.attention.head_count_kv", GgufValue.uint32(3), "must divide"),
        tiny("llama.attention.head_count_kv", four(2, -1), "at most 65536"),
        tiny("llama.attention.head_count_kv", four(2, 3), "which is 4 in layer 3"),
        tiny("llama.attention.value_length", GgufValue.uint32(32), "has equal ones"),
        tiny("llama.attention.key_length", GgufValue.uint32(0), "between 1 and 65536"),
        tiny("llama.attention.key_length_mla", GgufValue.uint32(128), "together with its pair"),
        tiny("llama.rope.dimension_count", GgufValue.uint32(63), "must be even"),
        tiny("llama.rope.dimension_count", GgufValue.uint32(0), "must be at least 2"),
        tiny("llama.rope.dimension_count", GgufValue.uint32(128), "at most the 64 elements"),
        tiny("llama.rope.dimension_count", GgufValue.uint32(32), "must be the 64 elements"),
        tiny("llama.rope.scaling.type", GgufValue.text("su"), "must be one of none, linear"),
        tiny("llama.rope.freq_base", GgufValue.float32(Float.NaN), "must be a finite number"),
        tiny("llama.rope.freq_base", GgufValue.float32(0), "must be positive"),
        tiny("llama.rope.dimension_sections", GgufArray.ints(4, -4, 0, 0), "must hold counts"),
        tiny("llama.rope.dimension_sections", GgufArray.ints(0, 0, 0, 0), "must add up to"),
        tiny(
            "llama.attention.layer_norm_rms_epsilon",
            GgufValue.float32(-1e-5f),
            "must not be negative"),
        tiny("llama.pooling_type", GgufValue.uint32(5), "between 0 and 4"),
        tiny("llama.expert_gating_func", GgufValue.uint32(9), "between 0 and 4"),
        tiny("llama.expert_used_count", GgufValue.uint32(2), "at most llama.expert_count"),
        tiny("llama.expert_count", GgufValue.uint32(2000), "between 0 and 1024"),
        tiny("llama.expert_count", GgufValue.uint32(8), "must be at least 1"),
        tiny("llama.expert_group_count", GgufValue.uint32(2), "between 0 and 0"),
        tiny("llama.full_attention_interval", GgufValue.uint32(0), "between 1 and"),
        tiny("llama.wkv.head_size", GgufValue.uint32(100), "must divide the embedding length"),
        tiny("tokenizer.ggml.model", GgufValue.text("no_vocab"), "only text models are run"),
        tiny("tokenizer.ggml.model", GgufValue.text("gpt2"), "is of type BYTE"),
        tiny("tokenizer.ggml.tokens", GgufArray.texts(List.of()), "must not be empty"),
        tiny("tokenizer.ggml.tokens", GgufArray.texts(List.of("a", "b", "a")), "the same"),
        tiny("tokenizer.ggml.tokens", GgufArray.texts(List.of("a", "b", "a\0c")), "the same"),
        tiny(
            "tokenizer.ggml.tokens",
            GgufArray.texts(List.of("a", "", "[EMPTY_1]")),
            "the name it would get"),
        arguments(
            "llama-moe-tiny",
            "llama.expert_group_count",
            GgufValue.uint32(4),
            "must be less than llama.expert_count"),
        arguments("llama-moe-tiny", "llama.expert_group_count", GgufValue.uint32(3), "must divide"),
        arguments(
            "llama-moe-tiny",
            "llama.expert_group_count",
            GgufValue.uint32(2),
            "llama.expert_group_used_count' is missing"),
        arguments(
            "llama-moe-tiny",
            "llama.expert_used_count",
            GgufArray.ints(2, 0, 2),
            "must be at least 1"),
        arguments(
            "gemma3-tiny",
            "gemma3.attention.sliding_window_pattern",
            GgufValue.uint32(1),
            "at least one layer"),
        arguments(
            "gemma3-tiny",
            "gemma3.attention.sliding_window_pattern",
            GgufArray.bools(false, false, false, false, false, false),
            "at least one layer"),
        arguments(
            "deepseek2-tiny",
            "deepseek2.attention.temperature_scale",
            GgufValue.float32(0.1f),
            "attention.temperature_length' is missing"),
        arguments("mamba-tiny", "mamba.ssm.conv_kernel", GgufValue.uint32(0), "between 1 and"),
        arguments(
            "jamba-tiny", "jamba.ssm.inner_size", GgufValue.uint32(512), "twice the embedding"));
  }

  @ParameterizedTest(name = "{1}: {3}")
  @MethodSource("hostile")
  void hostileMetadata_isRefused_namingTheKey(
      String shape, String key, GgufValue value, String fragment) {
    Path source = TestModels.tiny();
    if (!shape.isEmpty()) {
      source = folder.resolve("source.gguf");
      SyntheticModel.write(SyntheticModel.Shape.named(shape), TestModels.tiny(), source, 1);
    }
    Path file = folder.resolve("hostile.gguf");
    GgufWriter.copyOf(GgufFile.open(source)).put(key, value).write(file);
    assertRefused(file, fragment);
  }

  @ParameterizedTest
  @MethodSource("elementTypes")
  void elementTypeThatCannotBeComputedWith_isRefused(String name, GgmlType type, String fragment) {
    GgufFile tiny = GgufFile.open(TestModels.tiny());
    GgufWriter writer = new GgufWriter();
    tiny.metadata().forEach(writer::put);
    for (GgufTensor tensor : tiny.tensors()) {
      GgmlType element = tensor.name().equals(name) ? type : tensor.type();
      byte[] zeros = new byte[Math.toIntExact(element.bytes(tensor.elements()))];
      writer.tensor(tensor.name(), element, tensor.dimensions(), out -> out.write(zeros));
    }
    Path file = folder.resolve("types.gguf");
    writer.write(file);
    assertRefused(file, fragment);
  }

  static Stream<Arguments> elementTypes() {
    return Stream.of(
        arguments("output_norm.weight", GgmlType.F16, "must be of type F32"),
        arguments("blk.0.attn_norm.weight", GgmlType.Q8_0, "must be of type F32"),
        arguments("blk.1.attn_q.weight", GgmlType.I32, "whole numbers in no model"),
        arguments("blk.1.attn_q.weight", GgmlType.F64, "cannot be computed with"),
        arguments("token_embd.weight", GgmlType.Q8_K, "cannot be computed with"));
  }

  @Test
  void layerWithoutATensorThatIsTakenForGranted_isRefused() {
    GgufFile tiny = GgufFile.open(TestModels.tiny());
    GgufWriter writer = new GgufWriter();
    tiny.metadata().forEach(writer::put);
    for (GgufTensor tensor : tiny.tensors()) {
      if (!tensor.name().equals("blk.2.ffn_up.weight")) {
        byte[] zeros = new byte[Math.toIntExact(tensor.bytes())];
        writer.tensor(tensor.name(), tensor.type(), tensor.dimensions(), out -> out.write(zeros));
      }
    }
    Path file = folder.resolve("incomplete.gguf");
    writer.write(file);
    assertRefused(file, "layer 2 is incomplete but it must have both ffn_up and ffn_down");
    GgufWriter.copyOf(tiny)
        .put("general.architecture", GgufValue.text("phi3"))
        .put("phi3.block_count", GgufValue.uint32(5))
        .put("phi3.embedding_length", GgufValue.uint32(256))
        .put("phi3.attention.head_count", GgufValue.uint32(4))
        .write(file);
    assertRefused(file, "layer 4 is incomplete but it must have attn_q, attn_k and attn_v");
  }

  @Test
  void soundModels_pass_withAndWithoutOptionalKeys() {
    assertDoesNotThrow(() -> GgufFile.open(TestModels.tiny()).requireLoadable());
    List<String> optional = new ArrayList<>();
    for (String key : GgufFile.open(TestModels.tiny()).metadata().keySet()) {
      if (key.contains("rope") || key.contains("key_length") || key.contains("value_length")) {
        optional.add(key);
      }
    }
    GgufWriter writer = GgufWriter.copyOf(GgufFile.open(TestModels.tiny()));
    optional.forEach(writer::remove);
    Path file = folder.resolve("fewer.gguf");
    writer.write(file);
    assertDoesNotThrow(() -> GgufFile.open(file).requireLoadable());
  }

  @Test
  void whatNativeCodeReports_isLeftToIt() {
    Path file = folder.resolve("reported.gguf");
    GgufWriter.copyOf(GgufFile.open(TestModels.tiny()))
        .put("llama.block_count", GgufValue.text("four"))
        .remove("llama.context_length")
        .write(file);
    assertDoesNotThrow(() -> GgufFile.open(file).requireLoadable());
  }

  private static void assertRefused(Path file, String fragment) {
    GgufFile read = GgufFile.open(file);
    GgufFormatException e = assertThrows(GgufFormatException.class, read::requireLoadable);
    assertTrue(e.getMessage().contains(fragment), e.getMessage());
    assertTrue(e.getMessage().contains(file.getFileName().toString()), e.getMessage());
    assertTrue(e.getMessage().endsWith("take it from another source"), e.getMessage());
  }
}
