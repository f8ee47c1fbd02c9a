package dev.gatun.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChatCommandTest {
  @TempDir Path folder;

  @Test
  void chat_overAPipe_answersEachLineAndKeepsWhatWasSaid() {
    Console.Result result =
        Console.piped(
            "Lena lives in Bath.\\\nWhere does Lena live?\n/stats\nWhere does Lena live?\n/stats\n",
            "chat",
            "-q",
            "--temp",
            "0");

    List<String> lines = result.out().lines().toList();
    assertEquals(ExitCode.OK, result.code(), result.err());
    assertEquals("Lena lives in Bath.", lines.get(0));
    assertEquals(0, cached(lines.get(1)));
    assertEquals("Lena lives in Bath.", lines.get(2));
    assertTrue(
        cached(lines.get(3)) > 20, "the second turn reads only what is new: " + lines.get(3));
  }

  private static int cached(String stats) {
    Matcher matcher = Pattern.compile("\\(([0-9,]+) cached\\)").matcher(stats);
    assertTrue(matcher.find(), stats);
    return Integer.parseInt(matcher.group(1).replace(",", ""));
  }

  @Test
  void savedConversation_goesOnAfterLoading() throws IOException {
    Path file = folder.resolve("talk.json");
    Console.Result first =
        Console.piped(
            "Lena lives in Bath.\\\nWhere does Lena live?\n/save " + file + "\n/exit\nnever read\n",
            "chat",
            "-q",
            "--temp",
            "0");
    assertTrue(first.out().contains("saved 2 messages"), first.out() + first.err());
    assertTrue(
        Files.readString(file).contains("\"content\" : \"Lena lives in Bath.\\nWhere"),
        Files.readString(file));

    Console.Result second =
        Console.piped("/load " + file + "\nWhere does Lena live?\n", "chat", "-q", "--temp", "0");
    assertEquals("Lena lives in Bath.", second.out().lines().toList().getLast());
  }

  @Test
  void conversation_thatOutgrowsTheTrainedContext_getsALargerOne() {
    String prose = Console.prose().replace('\n', ' ');
    Console.Result result =
        Console.piped(
            prose.substring(0, 300)
                + "\n"
                + prose.substring(300, 1500)
                + " Lena lives in Bath.\\\nWhere does Lena live?\n",
            "chat",
            "--temp",
            "0",
            "-n",
            "24");
    assertEquals(ExitCode.OK, result.code(), result.err());
    assertTrue(result.err().contains("using ReRoPE"), result.err());
    assertEquals("Lena lives in Bath.", result.out().lines().toList().getLast());
  }

  @Test
  void severalLines_areOneMessage() {
    Console.Result result =
        Console.piped(
            "\"\"\"\nLena lives in Bath.\nWhere does Lena live?\n\"\"\"\n"
                + "Oskar put the brass key in the blue box.\\\nWhere is the brass key?\n",
            "chat",
            "-q",
            "--temp",
            "0");
    List<String> lines = result.out().lines().toList();
    assertEquals("Lena lives in Bath.", lines.get(0));
    assertEquals("The brass key is in the blue box.", lines.get(1));
  }

  @Test
  void aFailingTurn_saysWhyAndTheConversationGoesOn() {
    Console.Result result =
        Console.piped(
            Console.prose().replace('\n', ' ')
                + "\n/load missing.json\n/nonsense\nLena lives in Bath.\\\nWhere does Lena live?\n",
            "chat",
            "-q",
            "--temp",
            "0",
            "-c",
            "200");
    assertEquals(3, result.errLines().size(), result.err());
    assertTrue(result.errLines().get(0).contains("raise -c/--ctx-size"), result.err());
    assertTrue(result.errLines().get(1).contains("missing.json"), result.err());
    assertTrue(result.errLines().get(2).contains("/help"), result.err());
    assertTrue(result.out().endsWith("Lena lives in Bath.\n"), result.out());
  }
}
