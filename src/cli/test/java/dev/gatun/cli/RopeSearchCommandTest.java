package dev.gatun.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.rope.RopePreset;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RopeSearchCommandTest {
  @TempDir Path folder;
  private Path text;
  private Path preset;

  @BeforeEach
  void write() throws IOException {
    text = folder.resolve("prose.txt");
    Files.writeString(text, Heldout.text().substring(0, 6_000));
    preset = folder.resolve("preset.json");
  }

  private Console.Result search(String... more) {
    return Console.run(
        Stream.concat(
                Stream.of(
                    "rope-search",
                    "-f",
                    text.toString(),
                    "--length",
                    "512",
                    "--evaluations",
                    "5",
                    "--chunks",
                    "1",
                    "-t",
                    "1",
                    "-o",
                    preset.toString()),
                Stream.of(more))
            .toArray(String[]::new));
  }

  @Test
  void writesAPreset_thatOtherCommandsUse() {
    Console.Result result = search("--seed", "7");
    assertEquals(ExitCode.OK, result.code(), result.err());
    List<String> rows = result.out().lines().toList();
    assertEquals(
        List.of("method", "linear", "ntk", "yarn", "search"),
        rows.stream().map(row -> row.split(" ")[0]).toList());
    assertTrue(result.err().contains("--rope table:" + preset), result.err());
    RopePreset found = RopePreset.read(preset);
    RopePreset.Search search = found.search().orElseThrow();
    assertEquals(7, search.seed());
    assertEquals("prose.txt", search.text());
    assertEquals(512, search.targetTokens());
    assertEquals(5, search.evaluations());
    String heldOut = EvalReport.decimal(search.scores().getLast().heldOut().orElseThrow(), 3);
    assertTrue(rows.getLast().contains(" " + heldOut + " "), result.out());

    Console.Result used =
        Console.run(
            "run", "--raw", "-c", "512", "--rope", "table:" + preset, "-n", "2", "-t", "1", "Once");
    assertEquals(ExitCode.OK, used.code(), used.err());
  }

  @Test
  void json_isOneObjectAMethod() {
    Console.Result result = search("--json", "--whole-window", "--population", "4");
    assertEquals(ExitCode.OK, result.code(), result.err());
    List<String> lines = result.out().lines().toList();
    assertEquals(4, lines.size(), result.out());
    for (String line : lines) {
      assertTrue(
          line.matches(
              "\\{\"method\":\"\\w+\",\"context\":512,\"perplexity\":[0-9.]+,\"searchedPerplexity\":[0-9.]+}"),
          line);
    }
    assertTrue(Files.exists(preset));
  }

  @Test
  void aPresetOfAnotherModel_isRefused() throws IOException {
    assertEquals(ExitCode.OK, search().code());
    Files.writeString(
        preset, Files.readString(preset).replace("\"base\": 195.0", "\"base\": 10000.0"));
    Console.Result result =
        Console.run("run", "--raw", "--rope", "table:" + preset, "-n", "1", "Once");
    assertEquals(ExitCode.SPACE, result.code(), result.err());
    assertTrue(result.err().contains("frequency base 10000, but this model has 195"), result.err());
  }

  @Test
  void whatCannotBeDone_isSaidBeforeTheSearch() {
    Console.Result folderIsMissing = search("-o", folder.resolve("no/preset.json").toString());
    assertEquals(ExitCode.FILE, folderIsMissing.code(), folderIsMissing.err());
    Console.Result tooLong = search("--length", "4096");
    assertEquals(ExitCode.USAGE, tooLong.code(), tooLong.err());
    assertTrue(tooLong.err().contains("does not fill one window"), tooLong.err());
    Console.Result tooShort = search("--length", "256");
    assertEquals(ExitCode.USAGE, tooShort.code(), tooShort.err());
    assertEquals(ExitCode.USAGE, search("--evaluations", "3").code());
    assertFalse(Files.exists(preset));
  }
}
