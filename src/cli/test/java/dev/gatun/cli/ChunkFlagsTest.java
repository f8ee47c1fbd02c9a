package dev.gatun.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.gguf.SyntheticModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code --chunk}: documents that are read once, each alone, and put together. */
class ChunkFlagsTest {
  private static final String EVERYTHING = "100000";

  @TempDir Path folder;
  private String lena;
  private String felix;
  private String prose;

  @BeforeEach
  void documents() throws IOException {
    lena =
        document("lena.txt", "Lena lives in Bath. The pass key of Mira is 48213. Remember it.\n");
    felix = document("felix.txt", "Felix works as a sailor. Nora lives in Kent.");
    prose = document("prose.txt", Console.prose().substring(0, 2500));
  }

  private String document(String name, String text) throws IOException {
    Path file = folder.resolve(name);
    Files.writeString(file, text);
    return file.toString();
  }

  private static Console.Result run(String... args) {
    List<String> line = new ArrayList<>(List.of("run", "-t", "1"));
    line.addAll(List.of(args));
    return Console.run(line.toArray(String[]::new));
  }

  private static String event(Console.Result result, String name) {
    return result
        .out()
        .lines()
        .filter(line -> line.startsWith("{\"event\":\"" + name + "\""))
        .findFirst()
        .orElseThrow(() -> new AssertionError(name + " is missing in " + result.out()));
  }

  private static double number(String json, String field) {
    Matcher matcher = Pattern.compile("\"" + field + "\":([-0-9.eE]+)").matcher(json);
    assertTrue(matcher.find(), () -> field + " is missing in " + json);
    return Double.parseDouble(matcher.group(1));
  }

  @Test
  void documentsInAnyOrder_areAnsweredAbout_andTheReportSaysWhatWasReused() {
    for (List<String> order : List.of(List.of(lena, felix), List.of(felix, lena))) {
      Console.Result result =
          run("--chunk", order.get(0), "--chunk", order.get(1), "--ask", "Where does Nora live?");
      assertEquals(ExitCode.OK, result.code(), result.err());
      assertEquals("Nora lives in Kent.\n", result.out(), result.err());
      assertTrue(result.err().contains("2 of 2 chunks read in "), result.err());
      assertTrue(result.err().contains("18 tokens reused, 16 read again"), result.err());
    }
    Console.Result quiet = run("-q", "--chunk", lena, "--chunk", felix, "Where does Lena live?");
    assertEquals("Lena lives in Bath.\n", quiet.out(), quiet.err());
    assertEquals("", quiet.err());
  }

  @Test
  void everythingReadAgain_isTheFullReading_inTheOrderGiven() {
    String[] end = {"--raw", "-n", "1", "--temp", "0", "--json", "--logprobs", "0", "-p", "It was"};
    Console.Result straight = run(with(end, "--file", felix, "--file", lena, "--file", prose));
    Console.Result turned = run(with(end, "--file", prose, "--file", lena, "--file", felix));
    String[] chunks = {
      "--chunk", felix, "--chunk", lena, "--chunk", prose, "--chunk-recompute", EVERYTHING
    };
    Console.Result same = run(with(end, chunks));
    double wanted = number(event(straight, "token"), "logprob");
    assertEquals(wanted, number(event(same, "token"), "logprob"), 0.005, same.err());
    double other = number(event(turned, "token"), "logprob");
    assertTrue(Math.abs(wanted - other) > 0.05, "the order makes no difference: " + other);
    assertEquals(
        number(event(straight, "start"), "promptTokens"),
        number(event(same, "end"), "promptTokens"));
    assertEquals(0, number(event(same, "chunks"), "reusedTokens"));
  }

  private static String[] with(String[] end, String... begin) {
    List<String> all = new ArrayList<>(List.of(begin));
    all.addAll(List.of(end));
    return all.toArray(String[]::new);
  }

  @Test
  void check_tellsTheDivergence_whichIsNothingWhenAllIsReadAgain() {
    String[] line = {
      "--chunk",
      felix,
      "--chunk",
      prose,
      "--chunk",
      lena,
      "--chunk-check",
      "--json",
      "--ask",
      "What is the pass key of Mira?",
      "--chunk-recompute"
    };
    double[] mean = new double[2];
    for (int i = 0; i < 2; i++) {
      List<String> all = new ArrayList<>(List.of(line));
      all.add(i == 0 ? "0" : EVERYTHING);
      Console.Result result = run(all.toArray(String[]::new));
      assertEquals(ExitCode.OK, result.code(), result.err());
      assertTrue(event(result, "end").contains("The pass key of Mira is 48213."), result.out());
      String chunks = event(result, "chunks");
      assertEquals(3, number(chunks, "chunks"));
      assertEquals(0, number(chunks, i == 0 ? "recomputedTokens" : "reusedTokens"), chunks);
      assertTrue(number(chunks, i == 0 ? "reusedTokens" : "recomputedTokens") > 500, chunks);
      String check = event(result, "chunk_check");
      mean[i] = number(check, "klMean");
      assertEquals(25, number(check, "tokens"), check);
      assertTrue(number(check, "klMaximum") >= mean[i], check);
      assertTrue(number(check, "topAgreement") > 0.8, check);
    }
    assertTrue(mean[0] > 1e-4 && mean[0] < 0.3, "chunks do not know each other: " + mean[0]);
    assertEquals(0, mean[1], 1e-6);
    Console.Result plain = run("--chunk", lena, "--chunk-check", "--ask", "Where does Lena live?");
    assertTrue(plain.err().contains("against a full reading, over "), plain.err());
  }

  @Test
  void check_ofATextThatWasDropped_isLeftOut_andSaysSo() {
    Console.Result result =
        run(
            "--chunk",
            felix,
            "--chunk-check",
            "--overflow",
            "streaming",
            "--kv-budget",
            "40",
            "-n",
            "60",
            "--ignore-eos",
            "Nora");
    assertEquals(ExitCode.OK, result.code(), result.err());
    assertTrue(result.err().contains("not compared with a full reading"), result.err());
    assertFalse(result.err().contains("KL "), result.err());
  }

  @Test
  void aDocumentThatComesTwice_isReadOnce() {
    Console.Result result =
        run("--chunk", lena, "--chunk", felix, "--chunk", lena, "--ask", "Where does Lena live?");
    assertEquals("Lena lives in Bath.\n", result.out(), result.err());
    assertTrue(result.err().contains("2 of 3 chunks read in "), result.err());
  }

  @Test
  void withoutTemplate_chunksStandBehindTheFirstToken() {
    Console.Result file = run("--raw", "-n", "4", "--temp", "0", "--file", felix, "-p", "Felix");
    Console.Result chunk =
        run(
            "--raw",
            "-n",
            "4",
            "--temp",
            "0",
            "--chunk",
            felix,
            "--chunk-recompute",
            EVERYTHING,
            "-p",
            "Felix");
    assertEquals(ExitCode.OK, chunk.code(), chunk.err());
    assertEquals(file.out(), chunk.out());
  }

  @Test
  void aModelWhoseCellsCannotMove_isRefused_withTheFlagThatHelps() {
    for (String shape : List.of("mamba-tiny", "gemma3-tiny")) {
      Path model = folder.resolve(shape + ".gguf");
      SyntheticModel.write(SyntheticModel.Shape.named(shape), BuiltinModel.path(), model, 1);
      String[] line = {"-q", "-m", model.toString(), "-n", "2", "--chunk", felix, "Nora"};
      Console.Result result = run(line);
      assertEquals(ExitCode.USAGE, result.code(), result.err());
      assertEquals(1, result.errLines().size(), result.err());
      assertTrue(result.err().contains("--file, which reads it all"), result.err());
      assertEquals(shape.startsWith("gemma"), result.err().contains("--swa-full"), result.err());
      if (shape.startsWith("gemma")) {
        assertEquals(ExitCode.OK, run(with(line, "--swa-full")).code());
      }
    }
  }

  @Test
  void timeout_alsoEndsTheReadingOfChunks() {
    Console.Result result =
        run("-q", "--chunk", prose, "--timeout", "0.001", "--ask", "Where does Nora live?");
    assertEquals(ExitCode.TIMEOUT, result.code(), result.err());
    assertEquals("", result.out());
    assertTrue(result.err().contains("--timeout"), result.err());
  }

  private static void refused(int code, String hint, String... args) {
    Console.Result result = run(args);
    assertEquals(code, result.code(), result.err());
    assertEquals("", result.out());
    assertFalse(result.err().isEmpty());
    String last = result.errLines().getLast();
    assertTrue(last.startsWith("gatun: ") && last.contains(hint), result.err());
  }

  @Test
  void whatDoesNotFitTogether_isALineWithTheNextStep() throws IOException {
    String empty = document("empty.txt", " \n");
    refused(ExitCode.USAGE, "give --ask QUESTION", "--chunk", lena);
    refused(ExitCode.FILE, "no such file", "--chunk", "none.txt", "--ask", "Who?");
    refused(ExitCode.USAGE, "is empty", "--chunk", empty, "--ask", "Who?");
    refused(ExitCode.USAGE, "--chunk FILE", "--chunk-check", "hello");
    refused(ExitCode.USAGE, "--chunk FILE", "--chunk-recompute", "2", "hello");
    refused(
        ExitCode.USAGE,
        "--chunk-recompute needs a whole number",
        "--chunk",
        lena,
        "--chunk-recompute",
        "half",
        "Who?");
    refused(
        ExitCode.USAGE,
        "give one of them",
        "--chunk",
        lena,
        "--prompt-cache",
        folder.resolve("a.gkv").toString(),
        "Who?");
    refused(
        ExitCode.USAGE,
        "fixed position scaling",
        "--chunk",
        prose,
        "--rope",
        "dynamic",
        "--ask",
        "Who?");
    refused(
        ExitCode.SPACE,
        "--kv-budget allows 64",
        "--chunk",
        prose,
        "--kv-budget",
        "64",
        "--overflow",
        "streaming",
        "--ask",
        "Who?");
  }
}
