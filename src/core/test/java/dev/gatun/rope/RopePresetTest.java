package dev.gatun.rope;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.error.ContextCreateException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RopePresetTest {
  private static final RopeBasis BASIS = new RopeBasis(4, 195, 256);
  private static final RopePreset PRESET =
      new RopePreset(
          new FactorTable(List.of(1.0, 3.1400000000000001), 1.1386294361119891),
          Optional.of(new RopePreset.Model("ab12", "llama", 4, 195, 256)),
          Optional.of(
              new RopePreset.Search(
                  1024,
                  "a \"good\" book.txt",
                  -7,
                  200,
                  List.of(
                      new RopePreset.Score(
                          "yarn", OptionalDouble.of(46.5), OptionalDouble.of(1 / 3.0)),
                      new RopePreset.Score(
                          "search", OptionalDouble.empty(), OptionalDouble.empty())),
                  Instant.parse("2026-01-02T03:04:05Z"))));

  @TempDir Path folder;

  @Test
  void whatIsWritten_isReadAgain() throws IOException {
    Path file = folder.resolve("preset.json");
    Files.writeString(file, "older and much longer than nothing");
    PRESET.write(file);
    assertEquals(PRESET, RopePreset.read(file));
    assertEquals(PRESET, RopeSpec.parse("table:" + file).at(4));
    RopePreset plain = new RopePreset(PRESET.table(), Optional.empty(), Optional.empty());
    plain.write(file);
    assertEquals(plain, RopePreset.read(file));
    assertEquals(PRESET.table(), RopeSpec.parse("table:" + file).at(4));
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(List.of(file), files.toList());
    }
  }

  @Test
  void writeThatFails_leavesNothingBehind() throws IOException {
    Path target = Files.createDirectories(folder.resolve("folder/inside")).getParent();
    assertThrows(UncheckedIOException.class, () -> PRESET.write(target));
    assertThrows(UncheckedIOException.class, () -> PRESET.write(folder.resolve("no/file.json")));
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(List.of(target), files.toList());
    }
  }

  @Test
  void aModelOfTheSameShape_getsTheTable() {
    RopeFacts facts = RopeFacts.plain(BASIS);
    RopeChecks.requireApplicable(PRESET, facts);
    assertEquals(PRESET.table().rotation(BASIS), PRESET.rotation(BASIS));
    // It says which length it starts from, so it may replace what the file says.
    RopeChecks.requireApplicable(PRESET, facts.withScaling("linear", 4, 64));
    assertTrue(PRESET.describe().contains("1,024"), PRESET.describe());
  }

  @Test
  void aModelOfAnotherShape_isRefusedWithTheReason() {
    refused(new RopeBasis(4, 10_000, 256), "llama", "base 195", "10000");
    refused(new RopeBasis(4, 195, 512), "llama", "256 tokens", "512");
    refused(new RopeBasis(8, 195, 256), "llama", "4 rotated dimensions", "8");
    refused(BASIS, "qwen2", "'llama'", "qwen2");
  }

  private static void refused(RopeBasis basis, String architecture, String... words) {
    RopeFacts plain = RopeFacts.plain(basis);
    RopeFacts facts =
        new RopeFacts(
            architecture,
            plain.dimensions(),
            plain.base(),
            plain.trainedTokens(),
            "none",
            1,
            0,
            plain.betaFast(),
            plain.betaSlow(),
            plain.traits());
    String message =
        assertThrows(
                ContextCreateException.class, () -> RopeChecks.requireApplicable(PRESET, facts))
            .getMessage();
    for (String word : words) {
      assertTrue(message.contains(word), message);
    }
    // By hand it can be used all the same, where the number of factors allows it.
    if (basis.pairs() == PRESET.table().factors().size()) {
      RopeChecks.requireApplicable(PRESET.table(), facts);
    }
  }

  @Test
  void theTableHasTheModelsSize() {
    assertThrows(
        IllegalArgumentException.class,
        () -> new RopePreset(FactorTable.of(1, 2, 3), PRESET.model(), Optional.empty()));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "[1]",
        "{}",
        "{\"factors\": []}",
        "{\"factors\": [1, -2]}",
        "{\"factors\": [1, null]}",
        "{\"factors\": [1, 2], \"attention_factor\": \"x\"}",
        "{\"factors\": [1, 2], \"model\": 4}",
        "{\"factors\": [1, 2], \"model\": {\"architecture\": \"llama\"}}",
        "{\"factors\": [1, 2], \"search\": {}}",
      })
  void whatIsNoPreset_isRefusedWithTheFile(String json) throws IOException {
    Path file = folder.resolve("wrong.json");
    Files.writeString(file, json);
    String message =
        assertThrows(IllegalArgumentException.class, () -> RopePreset.read(file)).getMessage();
    assertTrue(message.contains("wrong.json"), message);
  }

  @Test
  void eachFieldThatIsCutOut_isMissed() {
    String json = PRESET.toJson();
    for (String field :
        List.of(
            "fingerprint",
            "dimensions",
            "base",
            "trained_tokens",
            "target_tokens",
            "seed",
            "evaluations",
            "date",
            "perplexities",
            "method")) {
      String without = json.replaceFirst("\"" + field + "\"", "\"x\"");
      assertFalse(without.equals(json), field);
      String message =
          assertThrows(IllegalArgumentException.class, () -> RopePreset.parse(without), field)
              .getMessage();
      assertTrue(message.contains(field), message);
    }
  }
}
