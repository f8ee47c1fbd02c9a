package dev.gatun.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.Cancellation;
import dev.gatun.ContextOptions;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.LlamaSession;
import dev.gatun.SessionOptions;
import dev.gatun.TestModels;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.kv.OverflowPolicy;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Reading on and on, bin by bin. */
class StreamRunTest {
  private static LlamaModel model;
  private static int[] text;

  @BeforeAll
  static void load() throws IOException {
    model = LlamaModel.load(TestModels.tiny());
    text = model.tokenizer().encode(Files.readString(TestModels.heldout()), true, false);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static LlamaContext context() {
    return model.newContext(
        ContextOptions.defaults().withContextTokens(256).withThreads(1).withBatchThreads(1));
  }

  private static LlamaSession session(LlamaContext context, OverflowPolicy policy) {
    return context.newSession(SessionOptions.defaults().withOverflow(policy));
  }

  @Test
  void whenItIsCancelled_theBinThatWasBegunIsTold() {
    List<StreamRun.Bin> bins = new ArrayList<>();
    try (LlamaContext context = context();
        LlamaSession session = session(context, OverflowPolicy.streaming())) {
      Cancellation cancellation = Cancellation.create();
      StreamRun run = StreamRun.of(session, 1000, bins::add);
      run.read(Arrays.copyOf(text, 601), cancellation);
      assertEquals(List.of(), bins);
      cancellation.cancel();
      assertThrows(
          OperationCancelledException.class,
          () -> run.read(Arrays.copyOfRange(text, 601, 1400), cancellation));
      run.finish();
    }
    assertEquals(1, bins.size());
    StreamRun.Bin bin = bins.getFirst();
    assertEquals(600, bin.tokens());
    assertTrue(bin.perplexity() > 20 && bin.perplexity() < 200, bin::toString);
    assertTrue(bin.msPerToken() > 0, bin::toString);
  }

  @Test
  void aPolicyThatInsertsTokens_isMeasuredToo() {
    List<StreamRun.Bin> bins = new ArrayList<>();
    OverflowPolicy summarise =
        OverflowPolicy.summarise(4, 64, dropped -> Arrays.copyOf(dropped, 8));
    try (LlamaContext context = context();
        LlamaSession session = session(context, summarise)) {
      StreamRun run = StreamRun.of(session, 500, bins::add);
      run.read(Arrays.copyOf(text, 1501), Cancellation.never());
      run.finish();
    }
    assertEquals(List.of(500L, 1000L, 1500L), bins.stream().map(StreamRun.Bin::tokens).toList());
    for (StreamRun.Bin bin : bins) {
      assertTrue(bin.perplexity() > 20 && bin.perplexity() < 200, bin::toString);
    }
  }
}
