package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.gguf.SyntheticModel.Family;
import dev.gatun.kv.KvCacheType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SlidingWindowBatchTest {
  private static final int STEPS = 800;

  @TempDir Path folder;

  private static ContextOptions options(int sequences) {
    return ContextOptions.defaults()
        .withContextTokens(256)
        .withBatchTokens(64)
        .withMicroBatchTokens(16)
        .withMaxSequences(sequences)
        .withUnifiedKv(true)
        .withThreads(1)
        .withBatchThreads(1)
        .withKeyType(KvCacheType.F32)
        .withValueType(KvCacheType.F32)
        .withFlashAttention(FlashAttention.OFF);
  }

  /**
   * When the cells of a window are used again, several micro-batches in one call of llama_decode
   * lost keys that the first of them still needed: about three of a thousand logits were wrong.
   */
  @Test
  void severalMicroBatches_keepTheirWindows_whenCellsAreUsedAgain() {
    Random random = new Random(4);
    try (LlamaModel model =
            LlamaModel.load(ReferenceFiles.write(folder, Family.GEMMA3, 6, 64, 2, 1));
        LlamaContext context = model.newContext(options(6));
        LlamaContext other = model.newContext(options(1).withContextTokens(1024));
        LlamaSession fresh = other.newSession()) {
      List<LlamaSession> sessions = new ArrayList<>();
      for (int i = 0; i < 5; i++) {
        sessions.add(context.newSession());
      }
      for (int step = 0; step < STEPS; step++) {
        LlamaSession session = sessions.get(random.nextInt(sessions.size()));
        int more = 1 + random.nextInt(35);
        int held = sessions.stream().mapToInt(LlamaSession::size).sum();
        if (held + more > 240 || random.nextInt(4) == 0) {
          session.clear();
          continue;
        }
        session.append(random.ints(more, 3, ReferenceFiles.VOCABULARY).toArray());
        double[] actual = Differences.copy(session.logits());
        fresh.clear();
        for (int at = 0; at < session.size(); at += 16) {
          fresh.append(Arrays.copyOfRange(session.tokens(), at, Math.min(session.size(), at + 16)));
        }
        double difference = Differences.max(Differences.copy(fresh.logits()), actual);
        assertTrue(difference < 5e-3, "step " + step + ": logits differ by " + difference);
      }
    }
  }
}
