package dev.gatun;

import java.nio.file.Files;
import java.nio.file.Path;

/** Where the tests find their model files. */
public final class TestModels {
  private TestModels() {}

  /** The project's root folder: system property {@code gatun.root}, else found upwards from here. */
  public static Path root() {
    String property = System.getProperty("gatun.root");
    if (property != null) {
      return Path.of(property);
    }
    Path folder = Path.of("").toAbsolutePath();
    while (folder != null && !Files.isRegularFile(folder.resolve("native/llama.cpp.pin"))) {
      folder = folder.getParent();
    }
    if (folder == null) {
      throw new IllegalStateException("set the system property gatun.root to the project's folder");
    }
    return folder;
  }

  /** The built-in tiny model: 4 layers, 256 wide, 2,048 tokens, F16. */
  public static Path tiny() {
    Path path = root().resolve("src/cli/main/resources/dev/gatun/cli/gatun-tiny-f16.gguf");
    if (!Files.isRegularFile(path)) {
      throw new IllegalStateException(path + " is missing: check out the project completely");
    }
    return path;
  }
}
