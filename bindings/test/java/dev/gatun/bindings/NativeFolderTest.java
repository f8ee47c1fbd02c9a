package dev.gatun.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.bindings.generated.Pin;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A folder that cannot be used is refused with its reason and the next step. */
class NativeFolderTest {
  private static final PlatformName LINUX = new PlatformName("linux", "x86_64");

  @TempDir Path folder;

  @Test
  void folderThatIsNotThere_isRefused() {
    assertRefused(
        folder.resolve("none"), "none is not a folder", "gatun.native.dir", "GATUN_NATIVE_DIR");
  }

  @Test
  void fileInsteadOfAFolder_isRefused() throws Exception {
    Path file = Files.writeString(folder.resolve("file"), "x");
    assertRefused(file, "is not a folder", "native/build.cmake", "gatun.native.dir");
  }

  @Test
  void otherPlatform_isRefused() throws Exception {
    write("libllama.so", "macos-arm64");
    assertRefused(folder, "for macos-arm64", "runs on linux-x86_64", "take the natives for");
  }

  @Test
  void otherTree_isRefused() throws Exception {
    byte[] content = TestFiles.bytes("x");
    Files.write(folder.resolve("libllama.so"), content);
    Files.writeString(
        folder.resolve("core.index"),
        TestFiles.index("linux-x86_64", TestFiles.line("libllama.so", content))
            .replace(Pin.TREE, "0".repeat(40))
            .replace(Pin.TAG, "v0.4.9"));
    assertRefused(folder, "v0.4.9", "0".repeat(40), Pin.TREE, "build or download the natives");
  }

  @Test
  void fileOfTheIndexThatIsMissing_isNamed() throws Exception {
    write("libllama.so", "linux-x86_64");
    Files.delete(folder.resolve("libllama.so"));
    assertRefused(folder, "libllama.so is missing", "build the natives again");
  }

  @Test
  void cutFile_isNamedWithBothSizes() throws Exception {
    write("libllama.so", "linux-x86_64");
    Files.writeString(folder.resolve("libllama.so"), "co");
    assertRefused(folder, "libllama.so", "has 2 bytes and its index says 22");
  }

  @Test
  void changedFileOfTheRightSize_isFoundByItsHash() throws Exception {
    write("libllama.so", "linux-x86_64");
    NativeFolder opened = NativeFolder.open(folder, LINUX);
    assertEquals(List.of(), opened.problems());
    Files.writeString(folder.resolve("libllama.so"), "CONTENT of libllama.so");
    List<String> problems = NativeFolder.open(folder, LINUX).problems();
    assertEquals(1, problems.size(), problems::toString);
    assertTrue(problems.getFirst().startsWith("libllama.so in " + folder), problems::toString);
    assertTrue(problems.getFirst().contains("SHA-256"), problems::toString);
  }

  @Test
  void folderWithoutAnIndex_isUsedAsItIs() throws Exception {
    Files.writeString(folder.resolve("libllama.so"), "x");
    Files.writeString(folder.resolve("README.txt"), "x");
    NativeFolder opened = NativeFolder.open(folder, LINUX);
    assertEquals(List.of("libllama.so"), opened.files());
    assertEquals(List.of(), opened.problems());
  }

  @Test
  void twoComponents_areOneFolder_coreFirst() throws Exception {
    for (String component : List.of("vulkan", "core", "cuda")) {
      byte[] content = TestFiles.bytes(component);
      String file = "libggml-" + component + ".so";
      Files.write(folder.resolve(file), content);
      Files.writeString(
          folder.resolve(component + ".index"),
          TestFiles.index("linux-x86_64", TestFiles.line(file, content)));
    }
    assertEquals(
        List.of("libggml-core.so", "libggml-cuda.so", "libggml-vulkan.so"),
        NativeFolder.open(folder, LINUX).files());
  }

  @Test
  void missingLibrary_isNamed() throws Exception {
    write("libllama.so", "linux-x86_64");
    var thrown =
        assertThrows(
            NativeLoadError.class, () -> LibrarySet.open(NativeFolder.open(folder, LINUX), LINUX));
    assertContains(thrown, "libggml-base.so is missing from " + folder, "native/build.cmake");
  }

  @Test
  void libraryThatIsNone_isRefusedWithTheSystemsReason() throws Exception {
    TestFiles.linux("the reason is Linux's");
    for (String name : LibrarySet.LIBRARIES) {
      Files.writeString(folder.resolve("lib" + name + ".so"), "no library ".repeat(100));
    }
    var result = ChildJvm.modular(ChildJvm.GRANT, "-Dgatun.native.dir=" + folder).run("load");
    assertEquals(3, result.status(), result::toString);
    String error = result.value("error");
    assertTrue(error.contains(folder.resolve("libggml-base.so").toString()), error);
    assertTrue(error.contains("invalid ELF header"), error);
  }

  @Test
  void librariesOfAnotherRelease_areRefusedBeforeAnythingIsCalled() throws Exception {
    // Real libraries that lack a symbol: the shim's file is a copy of ggml-base.
    Path natives = TestFiles.natives();
    TestFiles.linux("the file names are Linux's");
    for (String name : List.of("ggml-base", "ggml", "llama")) {
      Files.copy(natives.resolve("lib" + name + ".so"), folder.resolve("lib" + name + ".so"));
    }
    Files.copy(natives.resolve("libggml-base.so"), folder.resolve("libgatun_shim.so"));
    var result = ChildJvm.modular(ChildJvm.GRANT, "-Dgatun.native.dir=" + folder).run("load");
    assertEquals(3, result.status(), result::toString);
    String error = result.value("error");
    assertTrue(error.contains("gatun_adapter_lora_load"), error);
    assertTrue(error.contains("do not fit this version"), error);
    assertTrue(error.contains("native/build.cmake"), error);
  }

  @Test
  void goodFolder_verifies() throws Exception {
    NativeFolder natives = NativeFolder.open(TestFiles.natives(), PlatformName.current());
    assertEquals(List.of(), natives.problems());
    assertTrue(natives.files().size() >= 5, natives::toString);
  }

  private void write(String file, String platform) throws Exception {
    byte[] content = TestFiles.bytes("content of " + file);
    Files.write(folder.resolve(file), content);
    Files.writeString(
        folder.resolve("core.index"), TestFiles.index(platform, TestFiles.line(file, content)));
  }

  private static void assertRefused(Path folder, String... parts) {
    assertContains(
        assertThrows(NativeLoadError.class, () -> NativeFolder.open(folder, LINUX)), parts);
  }

  private static void assertContains(NativeLoadError thrown, String... parts) {
    for (String part : parts) {
      assertTrue(
          thrown.getMessage().contains(part), () -> part + " is not in: " + thrown.getMessage());
    }
  }
}
