package dev.gatun.bindings;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Where the tests find the project, the pinned sources and the built libraries. */
final class TestFiles {
  private TestFiles() {}

  /** The checkout's top folder. */
  static Path root() {
    String root = System.getProperty("gatun.root", "");
    return root.isEmpty() ? Path.of("").toAbsolutePath().getParent() : Path.of(root);
  }

  /** The pinned llama.cpp that the native build used; skips the test where there is none. */
  static Path llamaSources() throws IOException {
    Path note = root().resolve("native/target/llama.cpp.path");
    assumeTrue(
        Files.isRegularFile(note), note + " is missing: build the native module to run this test");
    Path sources = Path.of(Files.readString(note).strip());
    assumeTrue(
        Files.isRegularFile(sources.resolve("include/llama.h")),
        "no llama.cpp sources in " + sources + ": build the native module again to run this test");
    return sources;
  }

  /** The built libraries; skips the test where there are none. */
  static Path natives() {
    Path folder = Path.of(System.getProperty("gatun.native.dir", "")).toAbsolutePath();
    assumeTrue(
        Files.isRegularFile(folder.resolve("core.index")),
        "no native libraries in '" + folder + "': build the native module to run this test");
    return folder;
  }

  /** Skips the test where there is no Linux. */
  static void linux(String why) {
    assumeTrue(PlatformName.current().os().equals("linux"), why);
  }

  /** Copies the built libraries into a folder that the test may spoil. */
  static Path copyOfNatives(Path target) throws IOException {
    Path source = natives();
    Files.createDirectories(target);
    try (var files = Files.list(source)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Files.copy(file, target.resolve(file.getFileName()));
      }
    }
    return target;
  }

  /** Adds a file to a folder of natives and writes it into {@code <component>.index}. */
  static void addToIndex(Path folder, String component, String file, byte[] content)
      throws IOException {
    Files.write(folder.resolve(file), content);
    Files.writeString(
        folder.resolve(component + NativeIndex.SUFFIX),
        index(PlatformName.current().toString(), line(file, content)));
  }

  /** The text of an index of this version for a platform. */
  static String index(String platform, String... lines) {
    String tree = dev.gatun.bindings.generated.Pin.TREE;
    String tag = dev.gatun.bindings.generated.Pin.TAG;
    return "# gatun-native 1 %s %s %s\n".formatted(tag, tree, platform)
        + String.join("\n", lines)
        + "\n";
  }

  static String line(String file, byte[] content) {
    String hash = NativeFolder.hex(NativeFolder.sha256().digest(content));
    return hash + " " + content.length + " " + file;
  }

  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
