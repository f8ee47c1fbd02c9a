package dev.gatun.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code gatun memory-eval}. */
class MemoryEvalCommandTest {
  @TempDir Path folder;

  @Test
  void factsAreFound_withPagesInAFile() {
    Path file = folder.resolve("pages");
    Console.Result result =
        Console.run(
            "memory-eval",
            "-t",
            "1",
            "--tokens",
            "5000",
            "--needles",
            "4",
            "--cells",
            "512",
            "--recall",
            "256",
            "--candidates",
            "2048",
            "--disk",
            file.toString(),
            "--json");

    assertEquals(ExitCode.OK, result.code(), result.err());
    List<String> lines = result.out().lines().toList();
    assertEquals(5, lines.size(), result.out());
    assertTrue(lines.getFirst().contains("\"right\":true"), lines.getFirst());
    assertTrue(lines.getLast().contains("\"found\":4,\"recalled\":4"), result.out());
    assertTrue(lines.getLast().contains("\"memoryBytes\":0"), lines.getLast());
    assertFalse(Files.exists(file));
  }

  @Test
  void aBadFileForPages_isRefusedBeforeTheTextIsRead() throws IOException {
    Path there = folder.resolve("there");
    Files.writeString(there, "text");
    for (String[] bad :
        new String[][] {
          {folder.resolve("no/file").toString(), "there is no folder"},
          {there.toString(), "exists; name a new file"},
          {folder.toString(), "exists; name a new file"},
        }) {
      Console.Result result = Console.run("memory-eval", "--disk", bad[0]);
      assertEquals(ExitCode.FILE, result.code(), result.err());
      assertEquals(1, result.errLines().size(), result.err());
      assertTrue(result.err().contains(bad[1]), result.err());
    }
    assertEquals("text", Files.readString(there));
    assertEquals(ExitCode.USAGE, Console.run("memory-eval", "--disk", "").code());
  }

  @Test
  void aScalingThatFollowsTheLength_isRefused() {
    Console.Result result = Console.run("memory-eval", "--rope", "dynamic");

    assertEquals(ExitCode.USAGE, result.code(), result.err());
    assertTrue(result.err().contains("choose a fixed scaling"), result.err());
  }

  @Test
  void aRecallAsLargeAsTheCache_isRefused() {
    Console.Result result = Console.run("memory-eval", "--cells", "512", "--recall", "512");

    assertEquals(ExitCode.USAGE, result.code(), result.err());
    assertTrue(result.err().contains("--recall 512 must be less than --cells 512"), result.err());
  }
}
