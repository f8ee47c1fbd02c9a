package dev.gatun;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Assumptions;

/** llama.cpp's own tools, built from the same tree as the library, to compare with. */
public final class PeerTools {
  private PeerTools() {}

  /** Returns a tool; the test is skipped when the native build was made without peers. */
  public static Path tool(String name) {
    Path path = TestModels.root().resolve("native/target/peers").resolve(name);
    Assumptions.assumeTrue(
        Files.isExecutable(path), () -> path + " is missing: build with -Dgatun.peers=true");
    return path;
  }

  /** Runs a tool and returns the bytes of its standard output. */
  public static byte[] run(Path tool, List<String> arguments) {
    List<String> command = new ArrayList<>();
    command.add(tool.toString());
    command.addAll(arguments);
    try {
      Path errors = Files.createTempFile("peer", ".log");
      Process process =
          new ProcessBuilder(command)
              .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
              .redirectError(errors.toFile())
              .start();
      byte[] out = process.getInputStream().readAllBytes();
      int code = process.waitFor();
      if (code != 0) {
        throw new IllegalStateException(
            command + " ended with " + code + ": " + Files.readString(errors));
      }
      Files.delete(errors);
      return out;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
