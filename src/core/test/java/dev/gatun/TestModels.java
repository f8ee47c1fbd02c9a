package dev.gatun;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Assumptions;

/** Where the tests find their model files. */
public final class TestModels {
  private TestModels() {}

  /**
   * The project's root folder: system property {@code gatun.root}, else found upwards from here.
   */
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

  /** Prose that the tiny model never saw. */
  public static Path heldout() {
    return root().resolve("src/cli/main/resources/dev/gatun/cli/heldout.txt");
  }

  /**
   * The pinned llama.cpp tree, as the native build left its path in {@code
   * native/target/llama.cpp.path}. Without it the calling test is skipped.
   */
  public static Path llamaCpp() {
    Path pointer = root().resolve("native/target/llama.cpp.path");
    Assumptions.assumeTrue(Files.isRegularFile(pointer), () -> pointer + " is missing");
    try {
      Path tree = Path.of(Files.readString(pointer).strip());
      Assumptions.assumeTrue(Files.isDirectory(tree), () -> tree + " is missing");
      return tree;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
