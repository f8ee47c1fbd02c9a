package dev.gatun.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.bindings.ChildJvm.Result;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What becomes of each back end is remembered, and a GPU that does not load leaves the CPU. */
class BackendsTest {
  @TempDir Path folder;

  @BeforeEach
  void skipWithoutNatives() {
    TestFiles.natives();
    TestFiles.linux("the file names are Linux's");
  }

  @Test
  void goodFolder_loadsOneCpuVariant_andWaitsWithRpc() throws Exception {
    Result result = child(TestFiles.natives()).run("backends");
    assertEquals(0, result.status(), result::toString);
    List<String> backends = result.values("backend");
    assertEquals(1, count(backends, "cpu.* LOADED .*"), backends::toString);
    assertEquals(0, count(backends, ".* FAILED .*"), backends::toString);
    assertEquals(1, count(backends, "rpc SKIPPED .*asked.*|rpc SKIPPED loaded when .*"));
    assertEquals("1", result.value("devices"));
  }

  @Test
  void rpc_isLoadedWhenAskedFor_andTwiceIsOnce() throws Exception {
    Result result = child(TestFiles.natives()).run("backends", "rpc", "rpc");
    assertEquals(0, result.status(), result::toString);
  }

  @Test
  void gpuModuleThatIsNoLibrary_isRemembered_andTheCpuWorks() throws Exception {
    Path natives = TestFiles.copyOfNatives(folder.resolve("natives"));
    TestFiles.addToIndex(
        natives, "vulkan", "libggml-vulkan.so", TestFiles.bytes("this is no library"));
    Result result = child(natives).run("backends");
    assertEquals(0, result.status(), result::toString);
    List<String> backends = result.values("backend");
    assertEquals(1, count(backends, "vulkan FAILED \\S.*"), backends::toString);
    assertEquals(1, count(backends, "vulkan FAILED .*invalid ELF.*|vulkan FAILED .*too short.*"));
    assertEquals(1, count(backends, "cpu.* LOADED .*"), backends::toString);
    assertEquals("1", result.value("devices"));
  }

  @Test
  void backendsProperty_leavesAGpuOut() throws Exception {
    Path natives = TestFiles.copyOfNatives(folder.resolve("natives"));
    TestFiles.addToIndex(
        natives, "vulkan", "libggml-vulkan.so", TestFiles.bytes("this is no library"));
    Result result = child(natives, "-Dgatun.backends=cpu").run("backends");
    assertEquals(0, result.status(), result::toString);
    List<String> backends = result.values("backend");
    assertEquals(1, count(backends, "vulkan SKIPPED .*gatun.backends.*"), backends::toString);
    assertEquals(1, count(backends, "cpu.* LOADED .*"), backends::toString);
  }

  @Test
  void noCpuVariant_isAnErrorWithTheNextStep() throws Exception {
    Path natives = Files.createDirectories(folder.resolve("natives"));
    try (var files = Files.list(TestFiles.natives())) {
      for (Path file : files.toList()) {
        String name = file.getFileName().toString();
        if (!name.contains("-cpu") && !name.endsWith(".index")) {
          Files.copy(file, natives.resolve(name));
        }
      }
    }
    Result result = child(natives).run("backends");
    assertEquals(3, result.status(), result::toString);
    assertTrue(result.value("error").contains("no CPU back end"), result::toString);
    assertTrue(result.value("error").contains(natives.toString()), result::toString);
    assertTrue(result.value("error").contains("native/build.cmake"), result::toString);
  }

  @Test
  void cpuVariantThatIsNoLibrary_isPassedOver() throws Exception {
    Path natives = withoutIndex();
    Files.writeString(natives.resolve("libggml-cpu-broken.so"), "this is no library");
    Result result = child(natives).run("backends");
    assertEquals(0, result.status(), result::toString);
    List<String> backends = result.values("backend");
    assertEquals(1, count(backends, "cpu.* LOADED .*"), backends::toString);
    assertEquals(1, count(backends, "cpu-broken FAILED \\S.*"), backends::toString);
  }

  @Test
  void onlyBrokenCpuVariants_isAnErrorThatSaysWhy() throws Exception {
    Path natives = withoutIndex();
    try (var files = Files.list(natives)) {
      for (Path file : new ArrayList<>(files.toList())) {
        if (file.getFileName().toString().contains("-cpu")) {
          Files.writeString(file, "this is no library");
        }
      }
    }
    Result result = child(natives).run("backends");
    assertEquals(3, result.status(), result::toString);
    assertTrue(result.value("error").contains("no CPU back end"), result::toString);
    assertTrue(result.value("error").contains("; cpu-x64: "), result::toString);
  }

  private Path withoutIndex() throws Exception {
    Path natives = TestFiles.copyOfNatives(folder.resolve("natives"));
    Files.delete(natives.resolve("core.index"));
    return natives;
  }

  private static ChildJvm child(Path natives, String... options) {
    var all = new ArrayList<>(List.of(options));
    all.add(ChildJvm.GRANT);
    all.add("-Dgatun.native.dir=" + natives);
    return ChildJvm.modular(all.toArray(String[]::new));
  }

  private static long count(List<String> lines, String pattern) {
    return lines.stream().filter(l -> l.matches(pattern)).count();
  }
}
