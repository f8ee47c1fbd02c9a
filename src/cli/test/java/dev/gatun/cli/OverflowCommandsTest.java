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
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code gatun stream}, and what {@code --overflow} does in {@code run} and {@code chat}. */
class OverflowCommandsTest {
  @TempDir Path folder;

  private static double number(String json, String name) {
    Matcher matcher = Pattern.compile("\"" + name + "\":([-0-9.eE]+)").matcher(json);
    assertTrue(matcher.find(), () -> name + " is missing in " + json);
    return Double.parseDouble(matcher.group(1));
  }

  @Test
  void stream_readsMoreThanTheCells_andIsAsGoodAsReadingTheWindowAgain() {
    Console.Result result =
        Console.run(
            "stream",
            "-t",
            "1",
            "--tokens",
            "12000",
            "--bin",
            "5000",
            "--recompute-every",
            "16",
            "--json");

    assertEquals(ExitCode.OK, result.code(), result.err());
    List<String> lines = result.out().lines().toList();
    assertEquals(3, lines.size(), result.out());
    for (String line : lines) {
      assertTrue(line.contains("\"policy\":\"streaming:4\""), line);
      assertTrue(number(line, "cells") <= 256, line);
      // On 310 tokens a bin: the mean difference is some thousandths, its error about one percent.
      assertEquals(
          1, number(line, "sampledPerplexity") / number(line, "recomputedPerplexity"), 0.05, line);
    }
    assertEquals(5000, number(lines.getFirst(), "tokens"));
    assertEquals(11_999, number(lines.getLast(), "tokens"));
    assertTrue(number(lines.getLast(), "droppedTokens") >= 11_999 - 256, lines.getLast());
  }

  @Test
  void stream_underAPatternOfDistances_isAsGoodAsReadingTheWindowAgain() {
    String[] line = {
      "stream",
      "-t",
      "1",
      "--tokens",
      "6000",
      "--bin",
      "6000",
      "--recompute-every",
      "16",
      "--json",
      "--sparse",
      "local:16"
    };
    Console.Result local = Console.run(line);
    assertEquals(ExitCode.OK, local.code(), local.err());
    assertTrue(local.err().contains("not trained with this pattern"), local.err());
    double sampled = number(local.out(), "sampledPerplexity");
    assertEquals(1, sampled / number(local.out(), "recomputedPerplexity"), 0.02, local.out());
    line[line.length - 1] = "full";
    Console.Result full = Console.run(line);
    assertTrue(sampled > 1.05 * number(full.out(), "sampledPerplexity"), local.out() + full.out());
  }

  @Test
  void aPatternOfPlaces_isRefusedWhereTheTextMoves() {
    for (String places :
        List.of("local:32/4", "blocks:32", "longformer:32@0", "bigbird:16/2/1/1")) {
      for (String command : List.of("stream", "run", "chat")) {
        Console.Result result = Console.run(command, "--overflow", "streaming", "--sparse", places);
        assertEquals(ExitCode.USAGE, result.code(), result.err());
        String last = result.errLines().getLast();
        assertTrue(last.contains("are places in the text"), result.err());
        assertTrue(last.contains("take local:WINDOW"), result.err());
      }
    }
    Console.Result stays =
        Console.run(
            "stream", "-t", "1", "--tokens", "400", "--sparse", "blocks:32", "--evict", "recent");
    assertEquals(ExitCode.OK, stays.code(), stays.err());
  }

  @Test
  void pagesThatAreNeverChosen_areSaidToBe() {
    Console.Result never = Console.run("stream", "-t", "1", "--tokens", "300", "--sparse", "pages");
    assertTrue(never.err().contains("-ub 8 measures the choice"), never.err());
    Console.Result chosen =
        Console.run("stream", "-t", "1", "--tokens", "300", "--sparse", "pages", "-ub", "8");
    assertEquals("", chosen.err());
  }

  @Test
  void stream_pastWhatTheModelKnows_saysSo() {
    Console.Result more = Console.run("stream", "-t", "1", "--tokens", "300", "--kv-budget", "400");
    assertTrue(more.err().contains("--rope auto helps"), more.err());
    Console.Result kept = Console.run("stream", "-t", "1", "--tokens", "300", "--evict", "recent");
    assertTrue(kept.err().contains("--rope rerope helps"), kept.err());
    Console.Result scaled =
        Console.run("stream", "-t", "1", "--tokens", "300", "--kv-budget", "400", "--rope", "yarn");
    assertEquals("", scaled.err());
  }

  @Test
  void aModelThatCannotForget_isRefused_withTheFlagThatHelps() {
    for (String shape : List.of("mamba-tiny", "gemma3-tiny")) {
      Path model = folder.resolve(shape + ".gguf");
      SyntheticModel.write(SyntheticModel.Shape.named(shape), BuiltinModel.path(), model, 1);
      String[] line = {"stream", "-t", "1", "--tokens", "400", "-m", model.toString()};
      Console.Result result = Console.run(line);
      assertEquals(ExitCode.USAGE, result.code(), result.err());
      assertTrue(result.err().contains("--overflow fail, which drops nothing"), result.err());
      boolean window = shape.startsWith("gemma");
      assertEquals(window, result.err().contains("--swa-full, or"), result.err());
      List<String> helped = new ArrayList<>(List.of(line));
      helped.addAll(
          window ? List.of("--swa-full") : List.of("--overflow", "fail", "--kv-budget", "500"));
      Console.Result good = Console.run(helped.toArray(String[]::new));
      assertEquals(ExitCode.OK, good.code(), good.err());
    }
    Console.Result eviction =
        Console.run("evict-eval", "-m", folder.resolve("mamba-tiny.gguf").toString());
    assertEquals(ExitCode.USAGE, eviction.code(), eviction.err());
    assertTrue(eviction.err().contains("name another model with -m"), eviction.err());
  }

  @Test
  void stream_cutsATextAtLines_andNeverInsideACharacter() {
    int most = StreamCommand.PART_CHARS;
    String faces = "a" + "\ud83d\ude00".repeat(most);
    assertEquals(most - 1, StreamCommand.partEnd(faces, 0));
    assertEquals(2 * most - 1, StreamCommand.partEnd(faces, most - 1));
    assertEquals(faces.length(), StreamCommand.partEnd(faces, faces.length() - most));
    String lines = "x".repeat(most - 10) + "\n" + "y".repeat(most);
    assertEquals(most - 9, StreamCommand.partEnd(lines, 0));
    assertEquals(lines.length(), StreamCommand.partEnd(lines, lines.length() - 1));
  }

  @Test
  void stream_takesOneScaling() {
    for (String command : List.of("stream", "memory-eval")) {
      Console.Result result = Console.run(command, "--rope", "linear,yarn");
      assertEquals(ExitCode.USAGE, result.code(), result.err());
      assertTrue(result.err().contains("takes one scaling here"), result.err());
      assertEquals("", result.out());
    }
  }

  @Test
  void stream_withPolicyFail_saysSo() {
    Console.Result result =
        Console.run("stream", "-t", "1", "--tokens", "1000", "--overflow", "fail");

    assertEquals(ExitCode.SPACE, result.code(), result.err());
    assertTrue(result.err().contains("OverflowPolicy"), result.err());
    assertTrue(result.err().contains("a larger --kv-budget"), result.err());
    assertFalse(result.err().contains("--ctx-size"), result.err());
    assertEquals("", result.out());
  }

  @Test
  void run_withAWindow_answersFromTheEndOfATextOfAnyLength() throws IOException {
    Path file = folder.resolve("long.txt");
    Files.writeString(file, Console.proseWith("") + "\nLena lives in Bath.\n");

    Console.Result result =
        Console.run(
            "run",
            "-t",
            "1",
            "--overflow",
            "streaming",
            "--kv-budget",
            "128",
            "--file",
            file.toString(),
            "--ask",
            "Where does Lena live?");

    assertEquals("Lena lives in Bath.\n", result.out(), result.err());
    assertTrue(result.err().contains("tokens were dropped to make room"), result.err());
  }

  @Test
  void chat_goesOnWhenItsBudgetIsUsedUp() {
    Console.Result result =
        Console.piped(
            "Lena lives in Bath.\nWhere does Lena live?\nLena lives in Dover.\nWhere does Lena live?\n"
                .repeat(4),
            "chat",
            "-q",
            "-t",
            "1",
            "--overflow",
            "streaming",
            "--kv-budget",
            "96");

    assertEquals(ExitCode.OK, result.code(), result.err());
    assertEquals(16, result.out().lines().count(), result.out());
    assertEquals("Lena lives in Dover.", result.out().lines().toList().get(15), result.out());
  }

  @Test
  void overflow_unknown_namesTheChoices() {
    Console.Result result = Console.run("run", "--overflow", "forget", "x");

    assertEquals(ExitCode.USAGE, result.code());
    assertTrue(result.err().contains("fail, shift[:KEEP], streaming"), result.err());
    Console.Result policy = Console.run("run", "--overflow", "evict:forget", "x");
    assertTrue(policy.err().startsWith("gatun: --overflow evict: 'forget'"), policy.err());
  }
}
