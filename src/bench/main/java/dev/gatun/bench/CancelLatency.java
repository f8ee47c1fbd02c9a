package dev.gatun.bench;

import dev.gatun.Cancellation;
import dev.gatun.ContextOptions;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.LlamaSession;
import dev.gatun.error.OperationCancelledException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Measures how long a cancelled prefill of 8,192 tokens takes to return, and that the session is
 * usable afterwards.
 *
 * <p>Arguments: a model file, and the number of trials.
 */
public final class CancelLatency {
  private static final int TOKENS = 8192;

  private CancelLatency() {}

  /** Prints the latency of each trial and the largest, in milliseconds. */
  public static void main(String[] args) throws InterruptedException {
    int trials = Integer.parseInt(args[1]);
    Random random = new Random(1);
    double largest = 0;
    try (LlamaModel model = LlamaModel.load(Path.of(args[0]));
        LlamaContext context =
            model.newContext(ContextOptions.defaults().withContextTokens(TOKENS + 256));
        LlamaSession session = context.newSession()) {
      int[] text = new int[TOKENS];
      Arrays.setAll(text, i -> 300 + i % 1000);
      for (int trial = 0; trial < trials; trial++) {
        Cancellation cancellation = Cancellation.create();
        AtomicLong cancelled = new AtomicLong();
        long delay = 50 + random.nextInt(1500);
        Thread canceller =
            Thread.ofPlatform()
                .start(
                    () -> {
                      try {
                        Thread.sleep(delay);
                      } catch (InterruptedException e) {
                        throw new IllegalStateException(e);
                      }
                      cancelled.set(System.nanoTime());
                      cancellation.cancel();
                    });
        try {
          session.append(text, cancellation, (done, total) -> {});
          System.out.printf("trial %d: finished before %d ms%n", trial, delay);
          session.clear();
        } catch (OperationCancelledException e) {
          double millis = (System.nanoTime() - cancelled.get()) / 1e6;
          largest = Math.max(largest, millis);
          System.out.printf(
              "trial %d: cancelled after %d ms, back in %.1f ms%n", trial, delay, millis);
        }
        canceller.join();
        session.append(300);
        session.clear();
      }
    }
    System.out.printf("largest: %.1f ms%n", largest);
  }
}
