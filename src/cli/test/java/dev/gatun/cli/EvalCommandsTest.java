package dev.gatun.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.eval.EvalPoint;
import dev.gatun.eval.PerplexityResult;
import dev.gatun.eval.RecallResult;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commands that measure quality, on the built-in model. */
class EvalCommandsTest {
  @TempDir Path folder;

  /** On one thread: two that wait for each other are slow on a busy machine. */
  private static Console.Result good(String... args) {
    List<String> line = new ArrayList<>(List.of(args));
    line.addAll(List.of("-t", "1"));
    Console.Result result = Console.run(line.toArray(String[]::new));
    assertEquals(ExitCode.OK, result.code(), result.err());
    return result;
  }

  private static double field(String json, String name) {
    Matcher matcher = Pattern.compile("\"" + name + "\":([-0-9.E]+)").matcher(json);
    assertTrue(matcher.find(), () -> name + " in " + json);
    return Double.parseDouble(matcher.group(1));
  }

  private static void refused(int code, String hint, String... args) {
    Console.Result result = Console.run(args);
    assertEquals(code, result.code(), result.err());
    assertEquals(1, result.errLines().size(), result.err());
    assertTrue(result.err().contains(hint), result.err());
    assertEquals("", result.out());
  }

  @Test
  void perplexity_prints_aRowForEachMethodAndLength() {
    Console.Result result =
        good("perplexity", "-c", "256,512", "--rope", "none", "--rope", "yarn", "--chunks", "8");
    List<String> rows = result.out().lines().toList();
    assertEquals(5, rows.size(), result.out());
    assertTrue(rows.getFirst().startsWith("method"), result.out());
    // llama-perplexity's figure after 8 chunks of 256.
    assertTrue(rows.get(1).matches("none +256 +56\\.\\d+ .*"), rows.get(1));
    assertEquals(
        List.of("none", "yarn", "none", "yarn"),
        rows.stream().skip(1).map(row -> row.split(" ")[0]).toList());
  }

  @Test
  void perplexity_writesJson_withDivergenceAndBins() {
    Console.Result result =
        good(
            "perplexity",
            "-c",
            "512",
            "--chunks",
            "2",
            "--rope",
            "none",
            "--kl-against",
            "yarn",
            "--bins",
            "4",
            "--whole-window",
            "--json");
    String line = result.out().strip();
    assertEquals(1, line.lines().count(), line);
    assertTrue(line.startsWith("{\"method\":\"none\",\"context\":512,"), line);
    assertEquals(2 * 510, field(line, "tokens"));
    assertEquals(2, field(line, "windows"));
    assertTrue(field(line, "perplexity") > 1.2 * field(line, "referencePerplexity"), line);
    assertTrue(field(line, "klMean") > 0.05, line);
    assertTrue(line.contains("\"bins\":[{\"from\":0,\"to\":128,\"tokens\":252,"), line);
  }

  @Test
  void perplexity_ofAFile_withAStride() throws Exception {
    Path file = folder.resolve("prose.txt");
    Files.writeString(file, Console.prose());
    Console.Result result =
        good("perplexity", "-f", file.toString(), "-c", "256", "--stride", "64", "--json");
    assertEquals(64 * field(result.out(), "windows"), field(result.out(), "tokens"));
    assertTrue(field(result.out(), "perplexity") < 200, result.out());
  }

  @Test
  void passkey_isFoundAtTheTrainedLength() {
    Console.Result json = good("passkey", "--trials", "6", "--json");
    assertTrue(json.out().startsWith("{\"method\":\"model\",\"context\":256,"), json.out());
    assertEquals(6, field(json.out(), "trials"));
    assertTrue(field(json.out(), "accuracy") > 0.8, json.out());

    Console.Result table =
        good("passkey", "--trials", "2", "--depths", "0,1", "--lengths", "128", "--seed", "4");
    List<String> rows = table.out().lines().toList();
    assertEquals(3, rows.size(), table.out());
    assertTrue(rows.get(1).matches("model +128 +0\\.00 .*/2 .*"), rows.get(1));
    assertTrue(rows.get(2).matches("model +128 +1\\.00 .*/2 .*"), rows.get(2));
  }

  @Test
  void needle_printsAGrid() {
    Console.Result result =
        good(
            "needle",
            "--lengths",
            "128-256*2",
            "--depths",
            "0,0.5,1",
            "--trials",
            "2",
            "--needles",
            "2",
            "--ask",
            "all",
            "--rope",
            "none;yarn");
    List<String> lines = result.out().lines().toList();
    assertEquals(11, lines.size(), result.out());
    assertEquals("method none", lines.get(0));
    assertTrue(lines.get(1).matches("depth \\\\ tokens +128 +256"), lines.get(1));
    assertTrue(lines.get(3).matches("0\\.50 +[0-9.]+ % +[0-9.]+ %"), lines.get(3));
    assertEquals("method yarn", lines.get(6));
  }

  @Test
  void stretch_measuresPerplexityAndPassKey() {
    Console.Result result =
        good(
            "stretch",
            "--methods",
            "none,yarn",
            "--lengths",
            "512",
            "--trials",
            "2",
            "--tokens",
            "4096",
            "--json");
    List<String> lines = result.out().lines().toList();
    assertEquals(2, lines.size(), result.out());
    assertTrue(
        field(lines.get(0), "perplexity") > 2 * field(lines.get(1), "perplexity"), result.out());
    assertEquals(2, field(lines.get(1), "asked"));
    assertEquals(8, field(lines.get(1), "windows"));
  }

  @Test
  void resume_measuresOnlyWhatIsMissing() throws Exception {
    Path file = folder.resolve("results.jsonl");
    String[] line = {
      "passkey", "--trials", "2", "--lengths", "128", "--json", "--resume", file.toString()
    };
    String first = good(line).out();
    assertEquals(1, Files.readAllLines(file).size());
    assertEquals(first, good(line).out()); // the time in it is the one measured first
    line[4] = "128,256";
    String more = good(line).out();
    assertTrue(more.startsWith(first) && more.lines().count() == 2, more);
    assertEquals(2, Files.readAllLines(file).size());
    line[2] = "3";
    good(line);
    assertEquals(4, Files.readAllLines(file).size());
  }

  /** Runs a command with a writer that keeps the charts. */
  private Console.Result drawn(Command command, String... args) throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    OptionTable table = new OptionTable();
    command.declare(table);
    assertTrue(FastParser.parse(table, args, 0));
    assertTrue(FastParser.parse(table, new String[] {"-t", "1"}, 0));
    int code = command.call(io(out, err, false));
    return new Console.Result(
        code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  private static Io io(ByteArrayOutputStream out, ByteArrayOutputStream err, boolean errTerminal) {
    return new Io(
        new ByteArrayInputStream(new byte[0]),
        new PrintStream(out, false, StandardCharsets.UTF_8),
        new PrintStream(err, false, StandardCharsets.UTF_8),
        false,
        false,
        errTerminal);
  }

  @Test
  void needle_drawsAHeatMap_withItsNumbersBeside() throws Exception {
    Map<Path, Chart> charts = new LinkedHashMap<>();
    Path file = folder.resolve("needle.svg");
    Console.Result result =
        drawn(
            new NeedleCommand((chart, path) -> charts.put(path, chart)),
            "--lengths",
            "128,256",
            "--depths",
            "0,1",
            "--trials",
            "2",
            "--plot",
            file.toString());
    assertEquals(List.of(file), new ArrayList<>(charts.keySet()));
    Chart.Heatmap map = (Chart.Heatmap) charts.get(file);
    assertEquals(List.of("128", "256"), map.xLabels());
    assertEquals(List.of("0.00", "1.00"), map.yLabels());
    List<String> numbers = Files.readAllLines(folder.resolve("needle.json"));
    assertEquals(6, numbers.size());
    assertArrayEquals(
        new double[] {field(numbers.get(1), "accuracy"), field(numbers.get(3), "accuracy")},
        new double[] {map.values()[0][0], map.values()[0][1]});
    assertEquals(2, result.errLines().size(), result.err());
  }

  @Test
  void stretch_drawsLines_withTheirNumbersBeside() throws Exception {
    Map<Path, Chart> charts = new LinkedHashMap<>();
    drawn(
        new StretchCommand((chart, path) -> charts.put(path, chart)),
        "--lengths",
        "128,256",
        "--methods",
        "none",
        "--trials",
        "1",
        "--tokens",
        "512",
        "--plot",
        folder.resolve("s.png").toString());
    assertEquals(
        List.of(folder.resolve("s.png"), folder.resolve("s-found.png")),
        new ArrayList<>(charts.keySet()));
    Chart.Lines lines = (Chart.Lines) charts.get(folder.resolve("s.png"));
    List<double[]> points = lines.series().get("none");
    assertEquals(List.of(128.0, 256.0), points.stream().map(point -> point[0]).toList());
    String numbers = Files.readString(folder.resolve("s.json"));
    assertEquals(field(numbers, "perplexity"), points.getFirst()[1]);
  }

  private static EvalPoint point(Optional<PerplexityResult> perplexity) {
    return new EvalPoint(
        "yarn", 1024, OptionalDouble.empty(), perplexity, Optional.empty(), Duration.ofSeconds(2));
  }

  @Test
  void interrupted_tellsWhatWasMeasuredSoFar() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    EvalReport report = new EvalReport(io(out, err, false), "perplexity", false, List.of());
    report.onProgress(1, 10, point(Optional.empty()));
    report.interrupted();
    assertEquals("", err.toString(StandardCharsets.UTF_8));
    report.onProgress(
        5,
        10,
        point(Optional.of(new PerplexityResult(46.5, 1, 5120, 5, List.of(), Optional.empty()))));
    report.interrupted();
    assertEquals(
        "gatun: yarn at 1,024, as far as it was measured: 46.50 over 5,120 tokens\n",
        err.toString(StandardCharsets.UTF_8));
  }

  @Test
  void rows_areAlignedUnderTheirHeadings() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    EvalReport report =
        new EvalReport(
            io(out, new ByteArrayOutputStream(), false),
            "stretch",
            false,
            List.of(
                EvalReport.Column.method(List.of("none", "yarn:8")),
                EvalReport.Column.CONTEXT,
                EvalReport.Column.ACCURACY));
    report.onPoint(
        new EvalPoint(
            "none",
            12_345,
            OptionalDouble.empty(),
            Optional.empty(),
            Optional.of(new RecallResult(39, 40, 40)),
            Duration.ofSeconds(2)));
    assertEquals(
        """
        method    context    found
        none       12,345   97.5 %
        """,
        out.toString(StandardCharsets.UTF_8));
  }

  @Test
  void durations_areReadable() {
    assertEquals("0 s", Values.duration(-1));
    assertEquals("45 s", Values.duration(44.6));
    assertEquals("3 min 20 s", Values.duration(200));
    assertEquals("2 h 5 min", Values.duration(7500));
  }

  @Test
  void unknownMethods_areRefused_withThoseThereAre() {
    refused(ExitCode.USAGE, "there are auto, auto-fast, none", "stretch", "--methods", "none,ntq");
    refused(ExitCode.USAGE, "--rope: ", "perplexity", "--rope", "");
    refused(ExitCode.USAGE, "at least 1", "passkey", "--rope", "yarn:0.5");
    refused(ExitCode.USAGE, "--kl-against: ", "perplexity", "--kl-against", "ntq");
  }

  @Test
  void lengthsThatTheTextDoesNotFill_areRefused() throws Exception {
    Path file = folder.resolve("short.txt");
    Files.writeString(file, "It was a dark night. Nobody was there. The lamp was out.");
    String name = file.toString();
    refused(ExitCode.USAGE, "give a longer text", "perplexity", "-f", name, "-c", "256");
    refused(ExitCode.USAGE, "give a longer text", "stretch", "-f", name, "--lengths", "256");
    refused(ExitCode.USAGE, "give a longer text", "passkey", "-f", name, "--lengths", "256");
    refused(ExitCode.USAGE, "give a longer text", "perplexity", "-c", "100000");
    Files.writeString(file, " \n");
    refused(ExitCode.USAGE, "is empty", "perplexity", "-f", name);
    refused(ExitCode.FILE, "none.txt", "needle", "-f", folder.resolve("none.txt").toString());
  }

  @Test
  void numbersOutOfRange_areRefused() {
    refused(ExitCode.USAGE, "--trials must be from 1", "passkey", "--trials", "0");
    refused(ExitCode.USAGE, "--trials must be from 1", "stretch", "--trials", "-3");
    refused(ExitCode.USAGE, "--depths must be from 0 to 1", "needle", "--depths", "0,1.5");
    refused(ExitCode.USAGE, "--depths needs a number", "needle", "--depths", "0,,1");
    refused(ExitCode.USAGE, "--needles must be from 1", "needle", "--needles", "31");
    refused(ExitCode.USAGE, "--lengths must be from 4", "passkey", "--lengths", "2");
    refused(ExitCode.USAGE, "--chunks", "perplexity", "--chunks", "0");
    refused(ExitCode.USAGE, "does not overlap", "perplexity", "-c", "256", "--stride", "256");
    refused(ExitCode.USAGE, "does not go with", "perplexity", "--stride", "8", "--whole-window");
    refused(ExitCode.USAGE, "{key}", "passkey", "--fact", "There is no key.");
    refused(ExitCode.USAGE, "give a longer", "passkey", "--lengths", "30");
  }

  @Test
  void filesThatCannotBeUsed_areRefused() throws Exception {
    Path file = folder.resolve("novel.txt");
    Files.writeString(file, Console.prose());
    refused(ExitCode.FILE, "is not a result", "passkey", "--resume", file.toString());
    assertEquals(Console.prose(), Files.readString(file));
    refused(
        ExitCode.FILE,
        "cannot open",
        "passkey",
        "--resume",
        folder.resolve("no/such/folder.jsonl").toString());
    PlotFlag plot = new PlotFlag((chart, path) -> {});
    assertThrows(CliException.class, () -> plot.file("a.gif"));
    assertThrows(CliException.class, () -> plot.file(folder.resolve("none/a.png").toString()));
  }

  @Test
  void fewerFlags_meanWhatLlamaPerplexityMeans() {
    Console.Result result = good("perplexity", "-c", "256", "--chunks", "40", "--json");
    // The 40th figure of llama-perplexity -c 256 over the same text.
    assertEquals(54.1443, field(result.out(), "perplexity"), 0.05);
  }
}
