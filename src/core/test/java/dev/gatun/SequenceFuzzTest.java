package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.gguf.SyntheticModel.Family;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Random operations on random contexts through the public interface, in this JVM: an abort ends the
 * test run. {@code -Dgatun.fuzz.operations} and {@code -Dgatun.fuzz.seed} change how many and
 * which.
 */
class SequenceFuzzTest {
  @TempDir Path folder;

  @Test
  void randomOperations_keepEverySessionsWord_andAbortNothing() {
    int operations = Integer.getInteger("gatun.fuzz.operations", 20_000);
    long seed = Long.getLong("gatun.fuzz.seed", 1);
    List<LlamaModel> models =
        Stream.of(
                shape(Family.LLAMA, 1, 32),
                shape(Family.QWEN2, 1, 64),
                shape(Family.LLAMA, 1, 64),
                shape(Family.LLAMA, 1, 80),
                shape(Family.QWEN2, 1, 96),
                shape(Family.LLAMA, 1, 112),
                shape(Family.LLAMA, 1, 128),
                shape(Family.GEMMA3, 6, 64),
                shape(Family.MAMBA, 2, 32),
                shape(Family.JAMBA, 2, 64))
            .map(LlamaModel::load)
            .toList();
    SequenceFuzz fuzz = new SequenceFuzz(models, seed);
    fuzz.run(operations);
    String summary = fuzz.summary();
    System.out.println(summary);
    models.forEach(LlamaModel::close);
    // The contexts must be of all kinds, else this test shows little.
    assertTrue(fuzz.refusedContexts() > 0 && fuzz.comparisons() > operations / 500, summary);
    for (SequenceFuzz.Operation operation : SequenceFuzz.Operation.values()) {
      assertTrue(fuzz.done(operation) > operations / 200, operation + "; " + summary);
    }
  }

  private Path shape(Family family, int layers, int headSize) {
    return SessionFuzz.shape(folder, family, layers, headSize);
  }
}
