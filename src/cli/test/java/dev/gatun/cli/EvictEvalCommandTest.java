package dev.gatun.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code gatun evict-eval} on the built-in model. */
class EvictEvalCommandTest {
  @TempDir Path folder;

  private static Console.Result good(String... args) {
    List<String> line = new ArrayList<>(List.of("evict-eval"));
    line.addAll(List.of(args));
    line.addAll(List.of("-t", "1"));
    Console.Result result = Console.run(line.toArray(String[]::new));
    assertEquals(ExitCode.OK, result.code(), result.err());
    return result;
  }

  private static void refused(String hint, String... args) {
    List<String> line = new ArrayList<>(List.of("evict-eval"));
    line.addAll(List.of(args));
    Console.Result result = Console.run(line.toArray(String[]::new));
    assertEquals(ExitCode.USAGE, result.code(), result.err());
    assertTrue(result.err().contains(hint), result.err());
    assertEquals("", result.out());
  }

  private static String field(String point, String name) {
    Matcher matcher = Pattern.compile("\"" + name + "\":\"?([^,}\"]+)").matcher(point);
    assertTrue(matcher.find(), () -> name + " in " + point);
    return matcher.group(1);
  }

  private static double number(String point, String name) {
    return Double.parseDouble(field(point, name));
  }

  @Test
  void json_hasAPointForEachPolicyAndBudget_besideTheFullCache() {
    Path log = folder.resolve("log.jsonl");
    String[] args = {
      "--json",
      "--questions",
      "16",
      "--policies",
      "contrast,random:1",
      "--budgets",
      "30,10",
      "--mode",
      "known",
      "--resume",
      log.toString()
    };
    Console.Result first = good(args);
    List<String> points = first.out().lines().toList();
    assertEquals(
        List.of("full", "contrast:32/32/3-7", "contrast:32/32/3-7", "random:1", "random:1"),
        points.stream().map(point -> field(point, "policy")).toList());
    assertEquals(
        List.of(1.0, 0.3, 0.1, 0.3, 0.1), points.stream().map(p -> number(p, "budget")).toList());
    double full = number(points.getFirst(), "accuracy");
    assertTrue(full >= 15 / 16.0, first.out());
    for (String point : points) {
      assertEquals("known", field(point, "mode"));
      assertEquals(full, number(point, "fullAccuracy"));
      assertEquals(number(point, "accuracy") / full, number(point, "ofFull"), 1e-12);
      assertEquals(16, number(point, "asked"));
    }
    // Prompts of 232 tokens: what stays is what was asked for.
    assertEquals(70, number(points.get(1), "cells"));
    assertTrue(number(points.get(1), "accuracy") >= 14 / 16.0, first.out());
    assertTrue(number(points.get(3), "accuracy") <= 10 / 16.0, first.out());
    assertEquals(first.out(), good(args).out(), "a second run takes everything from the log");
  }

  @Test
  void table_hasARowForEachPolicy_inEveryMode() {
    Console.Result result =
        good(
            "--questions",
            "4",
            "--windows",
            "2",
            "--policies",
            "recent,plaindiff:mean",
            "--budgets",
            "50",
            "--rope",
            "rerope",
            "--length",
            "300");
    List<String> titles = result.out().lines().filter(line -> line.contains("full cache")).toList();
    assertEquals(3, titles.size(), result.out());
    assertTrue(titles.get(0).startsWith("answers, question known, 300 tokens, scaling rerope"));
    assertTrue(titles.get(2).startsWith("perplexity"));
    assertEquals(3, result.out().lines().filter(line -> line.startsWith("recent ")).count());
    assertEquals(
        3, result.out().lines().filter(line -> line.matches("plaindiff:mean +\\d.*")).count());
  }

  @Test
  void plot_drawsAChartForEachMode_withTheNumbers() throws Exception {
    Path chart = folder.resolve("e.svg");
    good(
        "--questions",
        "2",
        "--windows",
        "1",
        "--policies",
        "recent",
        "--budgets",
        "50,20",
        "--mode",
        "known,text",
        "--plot",
        chart.toString());
    assertTrue(
        Files.readString(folder.resolve("e-known-model-256.svg")).contains("share answered"));
    assertTrue(Files.readString(folder.resolve("e-text-model-256.svg")).contains("perplexity"));
    assertTrue(Files.readString(folder.resolve("e.json")).contains("\"policy\":\"recent\""));
  }

  @Test
  void whatIsNamedTwice_isMeasuredOnce() {
    Console.Result result =
        good(
            "--questions",
            "1",
            "--policies",
            "recent,recent",
            "--budgets",
            "50,50.0",
            "--mode",
            "known,known",
            "--length",
            "128",
            "--json");
    assertEquals(2, result.out().lines().count(), result.out());
  }

  @Test
  void wrongFlags_areRefused() {
    refused("no eviction policy", "--policies", "h3o");
    refused("--budgets", "--budgets", "0");
    refused("--mode", "--mode", "sometimes");
    refused("--questions", "--questions", "0");
  }
}
