package dev.gatun.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Platforms have the names of the native artifacts, whatever the JVM calls them. */
class PlatformNameTest {
  @ParameterizedTest
  @CsvSource({
    "Linux, amd64, linux-x86_64",
    "Linux, aarch64, linux-aarch64",
    "Mac OS X, aarch64, macos-arm64",
    "Mac OS X, x86_64, macos-x86_64",
    "Windows 11, amd64, windows-x86_64",
    "Windows Server 2022, aarch64, windows-aarch64",
    "FreeBSD, amd64, freebsd-x86_64",
    "Linux, riscv64, linux-riscv64"
  })
  void jvmNames_becomeArtifactNames(String os, String arch, String expected) {
    assertEquals(expected, PlatformName.of(os, arch).toString());
  }

  @Test
  void bothWindowsCompilers_areUnderstood() {
    PlatformName windows = PlatformName.of("Windows 11", "amd64");
    assertEquals(List.of("llama.dll", "libllama.dll"), windows.fileNames("llama"));
    assertEquals("llama", windows.libraryOf("llama.dll"));
    assertEquals("ggml-cpu-zen4", windows.libraryOf("libggml-cpu-zen4.dll"));
    assertEquals("", windows.libraryOf("libllama.so"));
  }

  @Test
  void filesThatAreNoLibraries_haveNoName() {
    PlatformName linux = PlatformName.of("Linux", "amd64");
    assertEquals("ggml-rpc", linux.libraryOf("libggml-rpc.so"));
    assertEquals("", linux.libraryOf("core.index"));
    assertEquals("", linux.libraryOf("libllama.so.1"));
    assertEquals("", linux.libraryOf("README"));
  }
}
