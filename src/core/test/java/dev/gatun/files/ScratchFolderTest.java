package dev.gatun.files;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.TestModels;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ScratchFolderTest {
  private static final String PREFIX = "scratch-";

  @TempDir Path parent;

  private List<Path> entries() throws IOException {
    try (Stream<Path> entries = Files.list(parent)) {
      return entries.sorted().toList();
    }
  }

  private static Path fill(ScratchFolder folder) throws IOException {
    Path inside = Files.createDirectories(folder.path().resolve("inside"));
    return Files.writeString(inside.resolve("file"), "text");
  }

  @Test
  void aClosedFolder_leavesNothing() throws IOException {
    Path missing = parent.resolve("a/b");
    ScratchFolder folder = ScratchFolder.open(missing, PREFIX);
    fill(folder);
    folder.close();
    folder.close();
    assertFalse(Files.exists(folder.path()));
    try (Stream<Path> entries = Files.list(missing)) {
      assertEquals(0, entries.count());
    }
  }

  @Test
  void foldersOfOneProcess_areApart() throws IOException {
    ScratchFolder second = ScratchFolder.open(parent, PREFIX);
    try (ScratchFolder first = ScratchFolder.open(parent, PREFIX)) {
      assertNotEquals(first.path(), second.path());
      assertTrue(Files.isDirectory(first.path()));
      Path file = fill(first);
      second.close();
      ScratchFolder.open(parent, PREFIX).close();
      assertTrue(Files.exists(file));
    }
    assertEquals(List.of(), entries());
  }

  @Test
  void whatIsNotOfAnEndedOwner_stays() throws IOException {
    Path folder = Files.createDirectory(parent.resolve("scratch-without-a-lock"));
    Path other = Files.writeString(parent.resolve("other.lock"), "");
    ScratchFolder.open(parent, PREFIX).close();
    assertEquals(List.of(other, folder), entries());
  }

  /** A process that lives keeps its folder; one that was killed loses it to the next owner. */
  @Test
  void afterAKilledProcess_theNextOwnerCleansUp() throws Exception {
    Process process =
        new ProcessBuilder(command(parent)).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    try (BufferedReader said = process.inputReader()) {
      Path file = Path.of(said.readLine());
      ScratchFolder.open(parent, PREFIX).close();
      assertTrue(Files.exists(file), "its owner lives");
      assertEquals(2, entries().size());
      process.destroyForcibly().waitFor();
      assertTrue(Files.exists(file), "nobody has cleaned up yet");
      ScratchFolder.open(parent, PREFIX).close();
      assertEquals(List.of(), entries());
    } finally {
      process.destroyForcibly().waitFor();
    }
  }

  private static List<String> command(Path parent) {
    Path target = TestModels.root().resolve("src/core/target");
    return List.of(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        target.resolve("classes")
            + System.getProperty("path.separator")
            + target.resolve("test-classes"),
        ScratchFolderTest.class.getName(),
        parent.toString());
  }

  /** The child: holds a folder with a file until it is killed. */
  public static void main(String[] args) throws Exception {
    ScratchFolder folder = ScratchFolder.open(Path.of(args[0]), PREFIX);
    System.out.println(fill(folder));
    Thread.currentThread().join();
  }
}
