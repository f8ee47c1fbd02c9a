package dev.gatun.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.gatun.bindings.generated.Pin;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * The headers are byte for byte those that the bindings were generated from. This sees what the
 * layouts cannot: a field added in what was padding.
 */
class HeaderChecksumTest {
  private record Line(String sha256, String path) {
    boolean ours() {
      return path.startsWith("@");
    }
  }

  @Test
  void shimHeader_isTheOneTheBindingsWereMadeFrom() throws IOException {
    Path folder = TestFiles.root().resolve("native");
    var ours = lines().stream().filter(Line::ours).toList();
    assertFalse(ours.isEmpty());
    for (Line line : ours) {
      assertEquals(line.sha256(), sha256(folder.resolve(line.path().substring(1))), line.path());
    }
  }

  @Test
  void headersOfThePinnedTree_areThoseTheBindingsWereMadeFrom() throws IOException {
    Path folder = TestFiles.llamaSources();
    var theirs = lines().stream().filter(l -> !l.ours()).toList();
    assertEquals(9, theirs.size());
    for (Line line : theirs) {
      assertEquals(line.sha256(), sha256(folder.resolve(line.path())), line.path());
    }
  }

  @Test
  void pinConstants_equalThePinFile() throws IOException {
    String pin = Files.readString(TestFiles.root().resolve("native/llama.cpp.pin"));
    assertEquals("tag=" + Pin.TAG, line(pin, "tag="));
    assertEquals("tree=" + Pin.TREE, line(pin, "tree="));
  }

  private static String line(String text, String start) {
    return text.lines().filter(l -> l.startsWith(start)).findFirst().orElseThrow();
  }

  private static List<Line> lines() throws IOException {
    var lines = new ArrayList<Line>();
    Path file = TestFiles.root().resolve("bindings/jextract/headers.sha256");
    for (String line : Files.readAllLines(file)) {
      if (!line.startsWith("#") && !line.isBlank()) {
        String[] parts = line.split(" +");
        lines.add(new Line(parts[0], parts[1]));
      }
    }
    return lines;
  }

  private static String sha256(Path file) throws IOException {
    return NativeFolder.hex(NativeFolder.sha256().digest(Files.readAllBytes(file)));
  }
}
