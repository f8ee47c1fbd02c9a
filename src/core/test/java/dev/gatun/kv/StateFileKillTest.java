package dev.gatun.kv;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.TestModels;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A process that is killed while it saves leaves the old file or the new one. {@code
 * -Dgatun.state.kills=200} makes it a long run.
 */
class StateFileKillTest {
  private static final int KILLS = Integer.getInteger("gatun.state.kills", 10);
  private static final int CELL_BYTES = 3 << 20;

  @TempDir Path folder;

  @Test
  void killedWhileSaving_theFileIsTheOldOneOrTheNewOne() throws Exception {
    Path file = folder.resolve("state.gkv");
    StateFile.write(file, content(0));
    Random random = new Random(5);
    int whileWriting = 0;
    int changed = 0;
    for (int i = 0; i < KILLS; i++) {
      int before = number(StateFile.inspect(file));
      Process child = new ProcessBuilder(command(file, before + 1)).inheritIO().start();
      while (number(StateFile.inspect(file)) == before) {
        assertTrue(child.isAlive(), "the child ended");
        TimeUnit.MILLISECONDS.sleep(1); // a reader that never waits for the writer
      }
      TimeUnit.MICROSECONDS.sleep(random.nextInt(60_000));
      child.destroyForcibly().waitFor();

      StateFacts facts = StateFile.verify(file);
      StateContent expected = content(number(facts));
      StateContent actual = StateFile.open(file).content();
      assertEquals(-1, Arrays.mismatch(expected.tokens(), actual.tokens()));
      assertEquals(-1, expected.cells().mismatch(actual.cells()));
      changed += number(facts) - before;
      try (Stream<Path> files = Files.list(folder)) {
        List<Path> leftOver = files.filter(path -> !path.equals(file)).toList();
        whileWriting += leftOver.isEmpty() ? 0 : 1;
        for (Path path : leftOver) {
          assertTrue(path.getFileName().toString().startsWith(".gatun-"), path::toString);
          Files.delete(path);
        }
      }
    }
    System.out.printf(
        "%d kills, %d of them in the middle of a file, after %d complete files%n",
        KILLS, whileWriting, changed);
    assertTrue(KILLS < 100 || whileWriting > KILLS / 10, "killed while writing: " + whileWriting);
  }

  private static List<String> command(Path file, int number) throws IOException {
    Path target = TestModels.root().resolve("src/core/target");
    return List.of(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Xmx256m",
        "-cp",
        target.resolve("classes")
            + System.getProperty("path.separator")
            + target.resolve("test-classes"),
        StateFileKillTest.class.getName(),
        file.toString(),
        Integer.toString(number));
  }

  /** The child: saves one state after another, until it is killed. */
  public static void main(String[] args) {
    Path file = Path.of(args[0]);
    for (int number = Integer.parseInt(args[1]); ; number++) {
      StateFile.write(file, content(number));
    }
  }

  private static int number(StateFacts facts) {
    return Integer.parseInt(facts.label());
  }

  /** A state whose every part says which one it is. */
  private static StateContent content(int number) {
    byte[] cells = new byte[CELL_BYTES + number % 7 * 5000];
    Arrays.fill(cells, (byte) number);
    MemorySegment segment = MemorySegment.ofArray(cells);
    segment.set(ValueLayout.JAVA_INT_UNALIGNED, cells.length - 4, number);
    int[] tokens = new int[1000 + number % 5];
    Arrays.fill(tokens, number);
    return new StateContent(
        "model",
        "a model",
        new StateSettings(Map.of("number", Integer.toString(number))),
        tokens,
        IntStream.range(0, tokens.length).toArray(),
        tokens.length,
        segment,
        List.of(),
        Integer.toString(number),
        Instant.EPOCH);
  }
}
