package dev.gatun.rope;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RopeSpecTest {
  @TempDir Path folder;

  private static RopeScaling at(String text, double ratio) {
    return RopeSpec.parse(text).at(ratio);
  }

  @Test
  void aFactorThatIsLeftOut_isTheRatio() {
    Map<String, RopeScaling> expected =
        Map.of(
            "linear", RopeScaling.linear(6),
            "ntk", RopeScaling.ntkAware(6),
            "ntk-fixed", RopeScaling.ntkFixed(6),
            "dynamic-hf", DynamicNtk.vllm(6),
            "by-parts", RopeScaling.ntkByParts(6),
            "by-parts-paper", RopeScaling.ntkByParts(6).withRamp(NtkByParts.Ramp.PAPER),
            "yarn", RopeScaling.yarn(6),
            "llama3", RopeScaling.llama3(6));
    expected.forEach(
        (name, scaling) -> {
          assertEquals(scaling, at(name, 6), name);
          // It is read the same when it is written.
          assertEquals(scaling, at(name + ":6", 3), name);
          assertEquals(scaling, at(name + ":6", 0.5), name);
          assertEquals(RopeScaling.modelDefault(), at(name, 1), name);
          assertEquals(RopeScaling.modelDefault(), at(name, 0.1), name);
          assertEquals(name, RopeSpec.parse(name + ":6").name());
        });
  }

  @Test
  void methodsWithoutFactor() {
    assertEquals(RopeScaling.auto(), at("auto", 4));
    assertEquals(RopeScaling.autoFast(), at("auto-fast", 4));
    assertEquals(RopeScaling.none(), at("none", 4));
    assertEquals(RopeScaling.modelDefault(), at("model", 4));
    assertEquals(RopeScaling.dynamic(), at("dynamic", 4));
    assertEquals(new Dynamic(Dynamic.Family.NTK_AWARE), at("dynamic:ntk", 4));
    assertEquals(new Dynamic(Dynamic.Family.LINEAR), at("dynamic:linear", 4));
    assertEquals(new Dynamic(Dynamic.Family.AUTO), at("dynamic:auto", 4));
  }

  @Test
  void twoBandMethods() {
    assertEquals(RopeScaling.selfExtend(), at("self-extend", 4));
    assertEquals(new SelfExtend(8, 64, false), at("self-extend:8,window=64,logn=off", 4));
    assertEquals(RopeScaling.rerope(), at("rerope", 4));
    assertEquals(new ReRope(64, false), at("rerope:64,logn=off", 4));
    assertEquals(new ReRope(64, true), at("rerope:64,logn=on", 4));
    assertEquals(RopeScaling.leakyReRope(), at("leaky-rerope", 4));
    assertEquals(new LeakyReRope(8, 32, true), at("leaky-rerope:8,window=32", 4));
    assertEquals(RopeScaling.dualChunk(), at("dual-chunk", 4));
    assertEquals(new DualChunk(192, 64, true), at("dual-chunk:192/64", 4));
    assertEquals(new DualChunk(192, 0, false), at("dual-chunk:192,logn=off", 4));
  }

  @Test
  void options() {
    assertEquals(
        RopeScaling.yarn(8)
            .withOriginalTokens(4096)
            .withBetas(16, 2)
            .withTruncate(false)
            .withTemperature(new Temperature.Fixed(1.2)),
        at("yarn:8,original=4096,fast=16,slow=2,truncate=off,temperature=1.2", 1));
    assertEquals(
        RopeScaling.yarn(4).withTemperature(Temperature.off()), at("yarn,temperature=off", 4));
    assertEquals(RopeScaling.yarn(4), at("yarn,temperature=on", 4));
    assertEquals(
        RopeScaling.ntkByParts(8).withOriginalTokens(512).withTruncate(false),
        at("by-parts:8,original=512,truncate=off", 1));
    assertEquals(new Llama3(8, 1, 4, 8192), at("llama3:8,original=8192", 1));
  }

  @Test
  void files() throws IOException {
    Path table = folder.resolve("a,b.json");
    Files.writeString(table, "{\"name\":\"mine\",\"factors\":[1, 2.5],\"attention_factor\":1.1}");
    assertEquals(new FactorTable(List.of(1.0, 2.5), 1.1), at("table:" + table, 4));
    Files.writeString(table, "{\"factors\":[1, 2.5]}");
    assertEquals(FactorTable.of(1, 2.5), at("table:" + table, 4));
    Path config = folder.resolve("config.json");
    Files.writeString(config, "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":4}}");
    assertEquals(RopeScaling.linear(4), at("hf:" + config, 9));
    assertEquals(RopeScaling.linear(4), at(" {\"rope_type\":\"linear\",\"factor\":4}", 9));
    assertEquals("hf", RopeSpec.parse("hf:" + config).name());
    Files.writeString(table, "[1, 2]");
    assertThrows(IllegalArgumentException.class, () -> at("table:" + table, 4));
    assertThrows(IllegalArgumentException.class, () -> at("table:" + folder.resolve("no"), 4));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "magic",
        "YARN",
        "yarn:",
        "yarn:x",
        "yarn:8,window=4",
        "yarn:8,original",
        "auto:4",
        "none:1",
        "dynamic:magic",
        "rerope:1.5",
        "rerope:4,logn=maybe",
        "dual-chunk:1/2/3",
        "linear:2,original=4",
        "yarn,original=1,original=2",
        "self-extend:4,"
      })
  void whatIsNoSpec_listsWhatThereIs(String text) {
    String message =
        assertThrows(IllegalArgumentException.class, () -> RopeSpec.parse(text)).getMessage();
    assertTrue(message.contains("by-parts-paper") && message.contains("rerope"), message);
  }

  @ParameterizedTest
  @ValueSource(strings = {"yarn:0.5", "linear:NaN", "rerope:-1", "yarn,fast=1,slow=2"})
  void numbersOutOfRange_areRefusedAtOnce(String text) {
    assertThrows(IllegalArgumentException.class, () -> RopeSpec.parse(text));
  }
}
