package dev.gatun.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.gguf.SyntheticModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code --prompt-cache} and {@code gatun cache}. */
class PromptCacheTest {
  private static final Pattern REUSED =
      Pattern.compile("reused ([0-9,]+) of ([0-9,]+) prompt tokens");

  @TempDir Path folder;

  private Console.Result ask(Path cache, String document, String question, String... more) {
    String[] line = {
      "run", "--temp", "0", "-t", "1", "--prompt-cache", cache.toString(), "--ask", question
    };
    String[] all = java.util.Arrays.copyOf(line, line.length + more.length);
    System.arraycopy(more, 0, all, line.length, more.length);
    return Console.piped(document, all);
  }

  private static int[] reused(Console.Result result) {
    Matcher matcher = REUSED.matcher(result.err());
    assertTrue(matcher.find(), result.err());
    return new int[] {number(matcher.group(1)), number(matcher.group(2))};
  }

  private static int number(String text) {
    return Integer.parseInt(text.replace(",", ""));
  }

  @Test
  void theNextRunReadsOnlyWhatDiffers_andAnswersTheSame() {
    Path cache = folder.resolve("document.gkv");
    String document = "Lena lives in Bath. Felix works as a sailor. Nora lives in Kent.";
    Console.Result first = ask(cache, document, "Where does Lena live?");
    assertEquals("Lena lives in Bath.\n", first.out(), first.err());
    assertFalse(REUSED.matcher(first.err()).find(), first.err());

    Console.Result second = ask(cache, document, "What is the work of Felix?");
    assertEquals("Felix works as a sailor.\n", second.out(), second.err());
    int[] counts = reused(second);
    assertTrue(counts[0] >= 20 && counts[0] < counts[1], second.err());

    Console.Result again = ask(cache, document, "What is the work of Felix?");
    assertEquals(second.out(), again.out());
    assertEquals(counts[1] - 1, reused(again)[0], again.err());

    Console.Result other = ask(cache, "Other words.", "Where does Lena live?", "-q");
    assertEquals("", other.err());
  }

  @Test
  void aLongDocument_isReusedUnderTheSameScaling() {
    Path cache = folder.resolve("long.gkv");
    String document = Console.proseWith("The pass key of Mira is 48213. Remember it.");
    Console.Result first = ask(cache, document, "What is the pass key of Mira?");
    assertEquals("The pass key of Mira is 48213.\n", first.out(), first.err());
    Console.Result second = ask(cache, document, "What is the pass key of Mira ?");
    assertEquals("The pass key of Mira is 48213.\n", second.out(), second.err());
    int[] counts = reused(second);
    assertTrue(counts[0] > counts[1] - 40, second.err());
  }

  @ParameterizedTest
  @ValueSource(strings = {"mamba-tiny", "gemma3-tiny", "jamba-tiny"})
  void aModelThatCannotBeCutBack_isReusedFromACheckpoint(String shape) {
    Path model = folder.resolve(shape + ".gguf");
    SyntheticModel.write(SyntheticModel.Shape.named(shape), BuiltinModel.path(), model, 1);
    Path cache = folder.resolve("cache.gkv");
    String prose = Console.prose();
    String text = prose.substring(0, Math.min(3000, prose.length()));
    String[] more = {"-m", model.toString(), "-n", "4", "-c", "2000"};
    ask(cache, text, "Where does Lena live?", more);
    int[] counts = reused(ask(cache, text, "What is the work of Felix?", more));
    assertEquals(512, counts[0]);
    counts = reused(ask(cache, text, "What is the work of Felix?", more));
    assertEquals(counts[1] - 4, counts[0]);
  }

  @Test
  void aBadFile_isALineWithTheNextStep_andAnExitCode() throws IOException {
    Path cache = folder.resolve("bad.gkv");
    Files.writeString(cache, "no state");
    Console.Result bad = ask(cache, "Lena lives in Bath.", "Where does Lena live?");
    assertEquals(ExitCode.FILE, bad.code());
    assertEquals("", bad.out());
    assertTrue(bad.err().contains("is not a state file"), bad.err());
    assertTrue(bad.err().contains("or remove the file to start anew"), bad.err());
    assertEquals("no state", Files.readString(cache));

    Files.delete(cache);
    ask(cache, "Lena lives in Bath.", "Where does Lena live?");
    Console.Result other =
        ask(cache, "Lena lives in Bath.", "Where does Lena live?", "-ctk", "q8_0");
    assertEquals(ExitCode.FILE, other.code());
    assertTrue(other.err().contains("key type F16 in the state, Q8_0 here"), other.err());

    Console.Result nowhere =
        ask(folder.resolve("missing/a.gkv"), "Lena lives in Bath.", "Where does Lena live?");
    assertEquals(ExitCode.FILE, nowhere.code());
    assertTrue(nowhere.err().contains("there is no folder"), nowhere.err());
  }

  @Test
  void chat_goesOnFromWhatItLeft() {
    Path cache = folder.resolve("chat.gkv");
    String[] line = {"chat", "--temp", "0", "-t", "1", "--prompt-cache", cache.toString()};
    String turn = "Lena lives in Bath.\\\nWhere does Lena live?\n/stats\n";
    Console.Result first = Console.piped(turn, line);
    assertTrue(first.out().startsWith("Lena lives in Bath."), first.out() + first.err());
    assertTrue(first.out().contains("(0 cached)"), first.out());
    Console.Result second = Console.piped(turn, line);
    assertTrue(second.err().contains("took up "), second.err());
    assertTrue(second.out().startsWith("Lena lives in Bath."), second.out());
    assertFalse(second.out().contains("(0 cached)"), second.out());
  }

  @Test
  void cache_listsInspectsVerifiesAndPrunes() throws IOException {
    Path cache = folder.resolve("document.gkv");
    ask(cache, "Lena lives in Bath.", "Where does Lena live?");
    Path damaged = folder.resolve("damaged.gkv");
    byte[] bytes = Files.readAllBytes(cache);
    bytes[bytes.length - 100] ^= 1;
    Files.write(damaged, bytes);

    Console.Result list = Console.run("cache", "--dir", folder.toString());
    assertEquals(ExitCode.OK, list.code());
    assertEquals(3, list.out().lines().count(), list.out());
    Console.Result json = Console.run("cache", "list", "--json", "--dir", folder.toString());
    assertEquals(2, json.out().lines().count(), json.out());
    assertTrue(json.out().contains("\"key type\":\"F16\""), json.out());

    Console.Result inspect = Console.run("cache", "inspect", cache.toString());
    assertTrue(inspect.out().contains("position scaling"), inspect.out());
    Console.Result verify = Console.run("cache", "verify", cache.toString());
    assertEquals(ExitCode.OK, verify.code());
    Console.Result all = Console.run("cache", "verify", "--dir", folder.toString());
    assertEquals(ExitCode.FILE, all.code());
    assertTrue(all.out().contains("cells whose checksum does not fit"), all.out());

    Console.Result dry =
        Console.run("cache", "prune", "--max-size", "1k", "--dry-run", "-d", folder.toString());
    assertEquals(2, dry.out().lines().count(), dry.out());
    assertTrue(Files.exists(cache));
    Console.run("cache", "prune", "--older-than", "1d", "-d", folder.toString());
    assertTrue(Files.exists(cache));
    Console.run("cache", "prune", "--max-size", "1k", "-d", folder.toString());
    assertFalse(Files.exists(cache));
    assertFalse(Files.exists(damaged));
  }

  @Test
  void cache_saysWhatIsWrongWithItsArguments() {
    assertEquals(ExitCode.USAGE, Console.run("cache", "tidy").code());
    assertEquals(ExitCode.USAGE, Console.run("cache", "prune").code());
    assertEquals(ExitCode.USAGE, Console.run("cache", "inspect").code());
    assertEquals(ExitCode.USAGE, Console.run("cache", "list", "a.gkv").code());
    assertEquals(ExitCode.USAGE, Console.run("cache", "list", "--dry-run").code());
    assertEquals(ExitCode.USAGE, Console.run("cache", "prune", "--max-size", "much").code());
    assertEquals(ExitCode.FILE, Console.run("cache", "inspect", "nothing.gkv").code());
    Console.Result missing = Console.run("cache", "verify", "nothing.gkv");
    assertEquals(ExitCode.FILE, missing.code());
    assertTrue(missing.out().startsWith("missing  nothing.gkv"), missing.out());
    Console.Result nowhere =
        Console.run("cache", "--dir", folder.resolve("nowhere").toString(), "--json");
    assertEquals(ExitCode.FILE, nowhere.code());
    assertEquals("", nowhere.out());
    assertTrue(nowhere.err().contains("does not exist; name the folder"), nowhere.err());
  }
}
