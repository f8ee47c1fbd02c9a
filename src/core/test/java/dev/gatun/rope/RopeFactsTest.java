package dev.gatun.rope;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.TestModels;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.gguf.GgufFile;
import dev.gatun.gguf.GgufValue;
import dev.gatun.gguf.GgufWriter;
import dev.gatun.rope.RopeFacts.Trait;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RopeFactsTest {
  @TempDir Path folder;

  private static final GgufFile TINY = GgufFile.open(TestModels.tiny());

  private RopeFacts changed(Map<String, GgufValue> values) {
    GgufWriter writer = GgufWriter.copyOf(TINY);
    if (values.get("general.architecture") instanceof GgufValue.Text(String other)) {
      TINY.metadata()
          .forEach(
              (key, value) -> {
                if (key.startsWith("llama.")) {
                  writer.put(other + key.substring("llama".length()), value);
                }
              });
    }
    values.forEach(writer::put);
    Path file = folder.resolve("changed-" + values.hashCode() + ".gguf");
    writer.write(file);
    return RopeFacts.of(GgufFile.open(file));
  }

  private static GgufValue text(String value) {
    return new GgufValue.Text(value);
  }

  @Test
  void tinyModel_isPlainAndStatesItsBetas() {
    RopeFacts facts = RopeFacts.of(TINY);
    assertEquals("llama", facts.architecture());
    assertEquals(64, facts.dimensions());
    assertEquals(256, facts.trainedTokens());
    assertEquals(195, facts.base(), 1e-3);
    assertEquals(7.3, facts.betaFast(), 1e-6);
    assertEquals(1, facts.betaSlow());
    assertEquals(Set.of(), facts.traits());
    assertFalse(facts.isScaled());
    RopeBasis basis = facts.basis();
    assertEquals(32, basis.pairs());
    // 23 of 32 pairs turn at least once within the trained length.
    long turning = 0;
    for (int i = 0; i < 32; i++) {
      turning += 256 * basis.frequency(i) >= 2 * Math.PI ? 1 : 0;
    }
    assertEquals(23, turning);
    // The model's betas reach a scaling that states none.
    assertEquals(
        RopeScaling.yarn(4).withBetas(facts.betaFast(), 1).rotation(basis),
        RopeScaling.yarn(4).rotation(basis));
  }

  @Test
  void scalingOfTheFile_isRead() {
    RopeFacts facts =
        changed(
            Map.of(
                "llama.rope.scaling.type", text("yarn"),
                "llama.rope.scaling.factor", GgufValue.float32(4),
                "llama.rope.scaling.original_context_length", GgufValue.uint32(64)));
    assertTrue(facts.isScaled());
    assertEquals("yarn", facts.scalingType());
    assertEquals(4, facts.scalingFactor());
    assertEquals(64, facts.originalTokens());
    assertTrue(changed(Map.of("llama.rope.scaling.factor", GgufValue.float32(2))).isScaled());
    assertFalse(
        changed(
                Map.of(
                    "llama.rope.scaling.type", text("none"),
                    "llama.rope.scaling.factor", GgufValue.float32(2)))
            .isScaled());
  }

  @Test
  void nonsensicalBetas_areThePapers() {
    RopeFacts facts = changed(Map.of("llama.rope.scaling.yarn_beta_fast", GgufValue.float32(0.5f)));
    assertEquals(32, facts.betaFast());
    assertEquals(1, facts.betaSlow());
  }

  @Test
  void architecturesWithoutRope_haveNoBasis() {
    RopeFacts facts = changed(Map.of("general.architecture", text("mamba")));
    assertTrue(facts.has(Trait.NO_ROPE) && facts.has(Trait.RECURRENT));
    assertTrue(
        assertThrows(UnsupportedOperationForModelException.class, facts::basis)
            .getMessage()
            .contains("mamba"));
  }

  @Test
  void slidingWindow_countsOnlyWhereLlamaCppReadsIt() {
    RopeFacts cohere =
        changed(
            Map.of(
                "general.architecture", text("cohere2"),
                "cohere2.attention.sliding_window", GgufValue.uint32(64)));
    assertEquals(Set.of(Trait.SLIDING_WINDOW, Trait.FULL_LAYERS_UNROTATED), cohere.traits());
    assertEquals(
        Set.of(), changed(Map.of("llama.attention.sliding_window", GgufValue.uint32(64))).traits());
  }

  @Test
  void otherTraits() {
    assertEquals(
        Set.of(Trait.LATENT_ATTENTION),
        changed(Map.of("llama.attention.kv_lora_rank", GgufValue.uint32(64))).traits());
    assertEquals(
        Set.of(Trait.NOT_CAUSAL),
        changed(Map.of("llama.attention.causal", new GgufValue.Bool(false))).traits());
  }

  /** The tables by architecture, against the sources that they were taken from. */
  @Test
  void tables_agreeWithLlamaCpp() throws IOException {
    Path source = TestModels.llamaCpp().resolve("src");
    String arch = Files.readString(source.resolve("llama-arch.cpp"));
    Map<String, String> names = new HashMap<>();
    Matcher name = Pattern.compile("\\{\\s*(LLM_ARCH_\\w+),\\s*\"([^\"]+)\"").matcher(arch);
    while (name.find()) {
      names.put(name.group(1), name.group(2));
    }
    String model = Files.readString(source.resolve("llama-model.cpp"));
    String types = model.substring(model.indexOf("llama_rope_type llama_model_rope_type("));
    assertEquals(
        new TreeSet<>(RopeArchitectures.WITHOUT_ROPE),
        cases(types, "", "return LLAMA_ROPE_TYPE_NONE", names));
    assertEquals(
        new TreeSet<>(RopeArchitectures.SEVERAL_AXES),
        cases(types, "case LLM_ARCH_QWEN2VL:", "case LLM_ARCH_GLM4:", names));
    Set<String> recurrent = cases(arch, "bool llm_arch_is_recurrent(", "return true", names);
    recurrent.addAll(cases(arch, "bool llm_arch_is_hybrid(", "return true", names));
    assertEquals(new TreeSet<>(RopeArchitectures.RECURRENT), recurrent);
    Set<String> sliding = new TreeSet<>(RopeArchitectures.SLIDING);
    sliding.addAll(RopeArchitectures.ALWAYS_SLIDING);
    // One source file has both.
    sliding.remove("lfm2moe");
    assertEquals(sliding, slidingModels(source.resolve("models"), new TreeSet<>(names.values())));
  }

  private static Set<String> slidingModels(Path folder, Set<String> names) throws IOException {
    Pattern slides =
        Pattern.compile("swa_type\\s*=\\s*LLAMA_SWA_TYPE_(STANDARD|SYMMETRIC|CHUNKED)");
    Set<String> models = new TreeSet<>();
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        if (slides.matcher(Files.readString(file)).find()) {
          String name = file.getFileName().toString().replace(".cpp", "");
          String underscored = name.replace('-', '_');
          models.add(
              name.equals("openai-moe")
                  ? "gpt-oss"
                  : names.contains(name) ? name : names.contains(underscored) ? underscored : name);
        }
      }
    }
    return models;
  }

  private static Set<String> cases(String text, String from, String to, Map<String, String> names) {
    int start = text.indexOf(from);
    Matcher found =
        Pattern.compile("case (LLM_ARCH_\\w+)")
            .matcher(text.substring(start, text.indexOf(to, start)));
    Set<String> set = new TreeSet<>();
    while (found.find()) {
      set.add(names.get(found.group(1)));
    }
    return set;
  }
}
