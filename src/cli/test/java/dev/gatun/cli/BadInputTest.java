package dev.gatun.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every bad input: its exit code, one line, and in that line what to do. */
class BadInputTest {
  @TempDir Path folder;

  private static void refused(int code, String hint, Console.Result result) {
    assertEquals(code, result.code(), result.err());
    assertEquals(1, result.errLines().size(), result.err());
    assertTrue(result.err().startsWith("gatun: "), result.err());
    assertTrue(result.err().contains(hint), result.err());
    assertEquals("", result.out());
  }

  @Test
  void unknownFlag_suggestsTheRightOne() {
    refused(ExitCode.USAGE, "--grammar", Console.run("run", "--gramar", "x", "hello"));
  }

  @Test
  void unknownCommand_suggestsTheRightOne() {
    refused(ExitCode.USAGE, "tokenize", Console.run("tokenise", "hello"));
  }

  @Test
  void wrongNumber_namesFlagAndValue() {
    refused(
        ExitCode.USAGE,
        "-n/--predict needs a whole number, not 'many'",
        Console.run("run", "-n", "many", "hi"));
  }

  @Test
  void missingValue_namesTheFlag() {
    refused(ExitCode.USAGE, "--temp", Console.run("run", "hi", "--temp"));
  }

  @Test
  void numberOutOfRange_saysTheRange() {
    refused(ExitCode.USAGE, "from 0 to 1", Console.run("run", "--top-p", "1.5", "hi"));
  }

  @Test
  void twoPrompts_areRefused() {
    refused(ExitCode.USAGE, "two prompts", Console.run("run", "-p", "a", "b"));
  }

  @Test
  void missingModel_saysHowToNameOne() {
    refused(
        ExitCode.FILE,
        "-m/--model",
        Console.run("run", "-q", "-m", folder.resolve("no.gguf").toString(), "hi"));
  }

  @Test
  void modelThatIsAFolder_isCalledOne() {
    refused(ExitCode.FILE, "is a folder", Console.run("run", "-m", folder.toString(), "hi"));
  }

  @Test
  void modelThatIsNoGguf_isRefused() throws IOException {
    Path file = folder.resolve("not.gguf");
    Files.writeString(file, "This is no model.");
    refused(ExitCode.FILE, "GGUF", Console.run("run", "-m", file.toString(), "hi"));
    refused(ExitCode.FILE, "GGUF", Console.run("info", file.toString()));
  }

  @Test
  void missingDocument_saysWhichOne() {
    refused(ExitCode.FILE, "none.txt", Console.run("run", "--file", "none.txt", "--ask", "Who?"));
  }

  @Test
  void documentThatIsAFolder_isCalledOne() {
    refused(
        ExitCode.FILE,
        "is a folder",
        Console.run("run", "--file", folder.toString(), "--ask", "Who?"));
  }

  @Test
  void binaryDocument_isRefused() throws IOException {
    Path file = folder.resolve("picture.png");
    Files.write(file, new byte[] {(byte) 0x89, 'P', 'N', 'G', 0, 1, 2});
    refused(
        ExitCode.FILE, "not text", Console.run("run", "--file", file.toString(), "--ask", "Who?"));
  }

  @Test
  void documentInAnotherEncoding_saysHowToConvert() throws IOException {
    Path file = folder.resolve("latin.txt");
    Files.write(file, "caf\u00e9 au lait".getBytes(StandardCharsets.ISO_8859_1));
    refused(ExitCode.FILE, "iconv", Console.run("run", "--file", file.toString(), "--ask", "Who?"));
  }

  @Test
  void emptyDocument_isRefused() throws IOException {
    Path file = folder.resolve("empty.txt");
    Files.writeString(file, " \n");
    refused(
        ExitCode.USAGE, "is empty", Console.run("run", "--file", file.toString(), "--ask", "Who?"));
  }

  @Test
  void emptyPrompt_isRefused() {
    refused(ExitCode.USAGE, "the prompt is empty", Console.run("run", ""));
    refused(ExitCode.USAGE, "the prompt is empty", Console.piped("  \n", "run"));
  }

  @Test
  void questionAboutNothing_isRefused() {
    refused(ExitCode.USAGE, "--ask needs a text", Console.piped("\n", "run", "--ask", "Who?"));
  }

  @Test
  void promptLongerThanTheContext_saysHowManyFit() {
    refused(
        ExitCode.SPACE,
        "raise -c/--ctx-size to at least",
        Console.run("run", "-q", "-c", "64", Console.prose()));
  }

  @Test
  void brokenGrammar_isTheUsersFault() {
    Console.Result result = Console.run("run", "-q", "--grammar", "root ::= (", "hi");
    refused(ExitCode.USAGE, "grammar", result);
  }

  @Test
  void brokenSchema_isTheUsersFault() {
    refused(ExitCode.USAGE, "", Console.run("run", "-q", "-j", "{\"type\": 7", "hi"));
  }

  @Test
  void quantisedValuesWithoutFlashAttention_sayWhatToChange() {
    refused(
        ExitCode.USAGE,
        "flash attention",
        Console.run("run", "-q", "-fa", "off", "--kv-v", "q8_0", "hi"));
  }

  @Test
  void noArguments_showHelpAndFail() {
    Console.Result result = Console.run();
    assertEquals(ExitCode.USAGE, result.code());
    assertTrue(result.err().contains("run"), result.err());
  }

  @Test
  void decodeOfAnUnknownId_saysTheRange() {
    refused(ExitCode.USAGE, "from 0 to 2047", Console.run("tokenize", "--decode", "5000"));
  }
}
