package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.gguf.SyntheticModel.Family;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Random operations on contexts with a prefix cache, in this JVM: an abort ends the test run.
 * {@code -Dgatun.fuzz.operations} and {@code -Dgatun.fuzz.seed} change how many and which.
 */
class PrefixCacheFuzzTest {
  @TempDir Path folder;

  @Test
  void randomOperations_changeNoSessionsWord_andLeaveNothingBehind() throws IOException {
    int operations = Integer.getInteger("gatun.fuzz.operations", 6_000);
    long seed = Long.getLong("gatun.fuzz.seed", 1);
    List<LlamaModel> models =
        Stream.of(
                shape(Family.LLAMA, 1, 32),
                shape(Family.QWEN2, 1, 64),
                shape(Family.GEMMA3, 6, 32),
                shape(Family.MAMBA, 2, 32),
                shape(Family.JAMBA, 2, 32))
            .map(LlamaModel::load)
            .toList();
    Path cells = Files.createDirectory(folder.resolve("cells"));
    PrefixCacheFuzz fuzz = new PrefixCacheFuzz(models, cells, seed);
    fuzz.run(operations);
    String summary = fuzz.summary();
    System.out.println(summary);
    models.forEach(LlamaModel::close);
    // Everything must have happened, else this test shows little.
    assertTrue(fuzz.comparisons() > operations / 30, summary);
    assertTrue(fuzz.exactFinds() > operations / 100, summary);
    assertTrue(fuzz.total(PrefixCacheStats::tokensSaved) > operations, summary);
    assertTrue(fuzz.total(PrefixCacheStats::spillsToHost) > operations / 200, summary);
    assertTrue(fuzz.total(PrefixCacheStats::spillsToDisk) > operations / 200, summary);
    assertTrue(fuzz.total(PrefixCacheStats::loadBacks) > operations / 300, summary);
    assertTrue(fuzz.total(PrefixCacheStats::evictions) > operations / 200, summary);
    for (PrefixCacheFuzz.Operation operation : PrefixCacheFuzz.Operation.values()) {
      assertTrue(fuzz.done(operation) > operations / 400, operation + "; " + summary);
    }
  }

  private Path shape(Family family, int layers, int headSize) {
    return SessionFuzz.shape(folder, family, layers, headSize);
  }
}
