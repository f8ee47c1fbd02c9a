package dev.gatun.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ToolCommandsTest {
  @TempDir Path folder;

  @Test
  void tokenize_decodesToWhatItEncoded() {
    String text = "Where is the brass key? Na\u00efve \u4f60\u597d \ud83d\ude00";
    Console.Result ids = Console.run("tokenize", "--ids", "--no-bos", text);
    assertEquals(ExitCode.OK, ids.code(), ids.err());

    assertEquals(text + "\n", Console.run("tokenize", "--decode", ids.out().strip()).out());
    int count = ids.out().strip().split(" ").length;
    assertEquals(count + "\n", Console.run("tokenize", "--count", "--no-bos", text).out());
    assertTrue(
        Console.run("tokenize", "--json", text).out().startsWith("{\"count\":" + (count + 1)));
  }

  @Test
  void tokenize_recognisesSpecialTokensOnlyWhenAsked() {
    Console.Result plain = Console.run("tokenize", "--count", "--no-bos", "<|end|>");
    Console.Result special = Console.run("tokenize", "--count", "--no-bos", "--special", "<|end|>");
    assertEquals("1\n", special.out());
    assertTrue(Integer.parseInt(plain.out().strip()) > 1, plain.out());
  }

  @Test
  void info_tellsWhatTheFileHolds() {
    Console.Result text = Console.run("info", "--tensors");
    assertEquals(ExitCode.OK, text.code(), text.err());
    assertTrue(text.out().contains("trained context    256"), text.out());
    assertTrue(text.out().contains("token_embd.weight"), text.out());
    Console.Result json = Console.run("info", "--json");
    assertTrue(json.out().contains("\"trainedContext\" : 256"), json.out());
    assertTrue(text.out().matches("(?s).*4,096 +16x +ReRoPE, window 64.*"), text.out());
    assertTrue(json.out().contains("\"rope\" : \"ReRoPE, window 64"), json.out());
    assertTrue(Console.run("info", "--template").out().contains("<|"));
  }

  @Test
  void info_needsNoNativeLibraryAndNoNativeAccess() throws Exception {
    String path =
        System.getProperty("jdk.module.path", "")
            + java.io.File.pathSeparator
            + System.getProperty("java.class.path");
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "--illegal-native-access=deny",
                "-Dgatun.native.dir=" + folder.resolve("nothing"),
                "-cp",
                path,
                "dev.gatun.cli.Main",
                "info",
                BuiltinModel.path().toString())
            .redirectErrorStream(true)
            .start();
    String out = new String(child.getInputStream().readAllBytes());
    assertTrue(child.waitFor(60, TimeUnit.SECONDS));
    assertEquals(0, child.exitValue(), out);
    assertTrue(out.contains("architecture       llama"), out);
  }

  @Test
  void info_tellsWhatKvCellsCost() {
    String text = Console.run("info").out();
    // 4 layers of 2 heads of 64 elements: keys and values of 2 bytes, keys of 34/32 bytes
    assertTrue(text.matches("(?s).*\nf16 .* 2,048 .*"), text);
    assertTrue(text.matches("(?s).*\nq8_0 .* 1,568 .*"), text);
    assertTrue(text.contains("at 256"), text);
    String json = Console.run("info", "--json").out().replaceAll("\\s", "");
    assertTrue(
        json.contains(
            "{\"keys\":\"q8_0\",\"values\":\"f16\",\"bytesPerToken\":1568,\"bytes\":{\"256\":401408,\"4096\":6422528,\"32768\":51380224}}"),
        json);
  }

  @Test
  void plan_predictsWhatIsMeasured() {
    for (String types : List.of("f16 f16", "q8_0 q4_0", "bf16 f32")) {
      String[] pair = types.split(" ");
      String json =
          Console.run(
                  "plan",
                  "-c",
                  "700",
                  "--kv-k",
                  pair[0],
                  "--kv-v",
                  pair[1],
                  "-np",
                  "3",
                  "-t",
                  "1",
                  "--no-kv-unified",
                  "--measure",
                  "--json")
              .out();
      assertEquals(number(json, "kvBytes"), number(json, "measuredKvBytes"), json);
      assertEquals(768, number(json, "contextTokens"), json);
    }
    Console.Result text = Console.run("plan", "-c", "4096", "-ctk", "q8_0");
    assertEquals(ExitCode.OK, text.code(), text.err());
    assertTrue(text.out().contains("6,422,528 (6.13 MiB)"), text.out());
    assertTrue(text.out().contains("full attention"), text.out());
  }

  private static long number(String json, String name) {
    Matcher found = Pattern.compile("\"" + name + "\" : (\\d+)").matcher(json);
    assertTrue(found.find(), json);
    return Long.parseLong(found.group(1));
  }

  @Test
  void devices_listTheCpu() {
    Console.Result result = Console.run("devices");
    assertEquals(ExitCode.OK, result.code(), result.err());
    assertTrue(result.out().contains("CPU"), result.out());
    assertTrue(Console.run("devices", "--json").out().contains("\"kind\" : \"cpu\""));
  }

  @Test
  void doctor_isContentWithAGoodBuild_andSeesAChangedFile() throws IOException {
    Console.Result result = Console.run("doctor");
    assertEquals(ExitCode.OK, result.code(), result.out());
    assertTrue(result.out().contains("files verified"), result.out());
    assertTrue(Console.run("doctor", "--json").out().contains("\"good\" : true"));

    DoctorCommand.Check check = DoctorCommand.libraries(folder, List.of("lib.so was changed"));
    assertTrue(!check.good() && check.detail().contains("lib.so was changed"), check.detail());
  }

  @Test
  void bench_printsARowForEachTest() {
    Console.Result md =
        Console.run("bench", "-p", "32", "-n", "4,8", "-pg", "16,4", "-r", "2", "-t", "1");
    assertEquals(ExitCode.OK, md.code(), md.err());
    List<String> rows = md.out().lines().filter(line -> line.startsWith("|")).toList();
    assertEquals(6, rows.size(), md.out());
    assertTrue(rows.get(2).contains("pp32") && rows.get(2).contains("\u00b1"), md.out());
    assertTrue(rows.get(5).contains("pp16+tg4"), md.out());
  }

  @Test
  void bench_writesCsvAndJson_withLlamaBenchsNames() {
    String[] line = {"bench", "-p", "16", "-n", "0", "-d", "32", "-r", "1", "-t", "1", "-o", "csv"};
    List<String> csv = Console.run(line).out().lines().toList();
    assertEquals(2, csv.size());
    assertTrue(
        csv.get(0).contains("n_depth,test_time,avg_ns,stddev_ns,avg_ts,stddev_ts"), csv.get(0));
    line[line.length - 1] = "jsonl";
    String json = Console.run(line).out();
    assertTrue(json.contains("\"n_depth\":32") && json.contains("\"samples_ts\":["), json);
  }

  @Test
  void benchRanges_areReadAsLlamaBenchReadsThem() {
    assertEquals(List.of(1, 2, 4, 8), BenchGrid.ranges("-t", "1-8*2", 1, 100));
    assertEquals(List.of(5, 10, 15, 40), BenchGrid.ranges("-t", "5-15+5,40", 1, 100));
    assertEquals(List.of(3, 4), BenchGrid.ranges("-t", "3-4", 1, 100));
  }

  @Test
  void builtinModel_isTheOneThatItsHashNames() throws Exception {
    byte[] bytes = Files.readAllBytes(BuiltinModel.path());
    assertEquals(BuiltinModel.BYTES, bytes.length);
    assertEquals(
        BuiltinModel.SHA256,
        HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes)));
  }
}
