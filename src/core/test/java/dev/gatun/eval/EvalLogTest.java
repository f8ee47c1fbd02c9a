package dev.gatun.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.Cancellation;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.error.StateFormatException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EvalLogTest {
  @TempDir Path folder;

  private static final EvalPoint FULL =
      new EvalPoint(
          "yarn:8,\"odd\"",
          4096,
          OptionalDouble.of(0.25),
          Optional.of(
              new PerplexityResult(
                  46.5,
                  0.25,
                  127,
                  3,
                  List.of(new PerplexityResult.Bin(0, 64, 63, 50.125)),
                  Optional.of(new PerplexityResult.Divergence(0.01, 2.5, 0.75, 40)))),
          Optional.of(new RecallResult(19, 20, 20)),
          Duration.ofMillis(1500));

  /** A task that counts how often it runs. */
  private static final class Counted implements EvalTask {
    final String name;
    int runs;

    Counted(String name) {
      this.name = name;
    }

    @Override
    public String identity() {
      return name;
    }

    @Override
    public long tokens() {
      return 10;
    }

    @Override
    public EvalPoint run(Cancellation cancellation, EvalProgress progress) {
      if (cancellation.isCancelled()) {
        throw new OperationCancelledException("the evaluation was cancelled");
      }
      runs++;
      EvalPoint point =
          new EvalPoint(
              name,
              10,
              OptionalDouble.empty(),
              Optional.empty(),
              Optional.of(new RecallResult(1, 2, 2)),
              Duration.ofSeconds(1));
      progress.onProgress(10, point);
      return point;
    }
  }

  /** Keeps what it is told. */
  private static final class Kept implements EvalListener {
    final List<String> lines = new ArrayList<>();

    @Override
    public void onProgress(long done, long total, EvalPoint soFar) {
      lines.add(done + "/" + total);
    }

    @Override
    public void onPoint(EvalPoint point) {
      lines.add(point.method());
    }
  }

  @Test
  void points_comeBackAsTheyWere() {
    Path file = folder.resolve("points.jsonl");
    try (EvalLog log = EvalLog.open(file)) {
      log.append("one", FULL);
    }
    try (EvalLog log = EvalLog.open(file)) {
      assertEquals(FULL, log.find("one").orElseThrow());
      assertTrue(log.find("two").isEmpty());
    }
  }

  @Test
  void interruptedEvaluation_goesOnWhereItWas() {
    Path file = folder.resolve("points.jsonl");
    List<Counted> tasks = List.of(new Counted("a"), new Counted("b"), new Counted("c"));
    Cancellation cancellation = Cancellation.create();
    Kept kept = new Kept();
    EvalListener cancelling =
        new EvalListener() {
          @Override
          public void onProgress(long done, long total, EvalPoint soFar) {
            kept.onProgress(done, total, soFar);
          }

          @Override
          public void onPoint(EvalPoint point) {
            kept.onPoint(point);
            if (point.method().equals("b")) {
              cancellation.cancel();
            }
          }
        };
    try (EvalLog log = EvalLog.open(file)) {
      assertThrows(
          OperationCancelledException.class,
          () -> Evaluation.run(tasks, log, cancellation, cancelling));
    }
    assertEquals(List.of("10/30", "a", "20/30", "b"), kept.lines);
    Kept again = new Kept();
    try (EvalLog log = EvalLog.open(file)) {
      List<EvalPoint> points = Evaluation.run(tasks, log, Cancellation.never(), again);
      assertEquals(List.of("a", "b", "c"), points.stream().map(EvalPoint::method).toList());
    }
    assertEquals(List.of("a", "b", "10/10", "c"), again.lines);
    assertEquals(List.of(1, 1, 1), tasks.stream().map(task -> task.runs).toList());
  }

  @Test
  void lineThatWasNotWrittenToItsEnd_isCutOff() throws Exception {
    Path file = folder.resolve("points.jsonl");
    try (EvalLog log = EvalLog.open(file)) {
      log.append("one", FULL);
      log.append("two", FULL);
    }
    byte[] whole = Files.readAllBytes(file);
    for (int cut : new int[] {1, 50, 200}) {
      Files.write(file, java.util.Arrays.copyOf(whole, whole.length - cut));
      try (EvalLog log = EvalLog.open(file)) {
        assertTrue(log.find("one").isPresent() && log.find("two").isEmpty());
        log.append("two", FULL);
      }
      assertEquals(new String(whole), Files.readString(file));
    }
  }

  @Test
  void otherFiles_areRefused_andLeftAlone() throws Exception {
    Path file = folder.resolve("novel.txt");
    for (String text : List.of("Sir Walter Elliot", "Sir Walter\nElliot", "{\"a\":1}\n")) {
      Files.writeString(file, text);
      StateFormatException e =
          assertThrows(StateFormatException.class, () -> EvalLog.open(file).close());
      assertTrue(e.getMessage().contains("line 1 of "), e.getMessage());
      assertEquals(text, Files.readString(file));
    }
    try (EvalLog log = EvalLog.open(folder.resolve("good.jsonl"))) {
      log.append("one", FULL);
    }
    Files.writeString(folder.resolve("good.jsonl"), "{}\n", StandardOpenOption.APPEND);
    assertThrows(
        StateFormatException.class, () -> EvalLog.open(folder.resolve("good.jsonl")).close());
  }

  @Test
  void numbersThatAreNotFinite_areNullInJson() {
    EvalPoint point =
        new EvalPoint(
            "none",
            10,
            OptionalDouble.empty(),
            Optional.of(
                new PerplexityResult(
                    Double.POSITIVE_INFINITY, Double.NaN, 1, 1, List.of(), Optional.empty())),
            Optional.empty(),
            Duration.ZERO);
    assertEquals(
        "{\"method\":\"none\",\"context\":10,\"perplexity\":null,\"standardError\":null,"
            + "\"tokens\":1,\"windows\":1,\"seconds\":0.0}",
        point.toJson());
  }
}
