package dev.gatun.cli;

import dev.gatun.Cancellation;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.LlamaSession;
import dev.gatun.Tokenizer;
import dev.gatun.error.UnsupportedOperationForModelException;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Measures as llama-bench does: random tokens, a warm-up, then repetitions from a cleared context.
 * A prompt goes in chunks of the batch size, an answer one token at a time; nothing is sampled.
 * Loading, clearing and filling up to the depth are not timed.
 */
final class BenchRunner {
  private static final long WARM_UP_NANOS = 600_000_000;

  private final LlamaModel model;
  private final Cancellation cancellation;
  private final SplittableRandom random = new SplittableRandom(1);
  private final int[] one = new int[1];

  BenchRunner(LlamaModel model, Cancellation cancellation) {
    this.model = model;
    this.cancellation = cancellation;
  }

  /** Runs a test and returns the time of each repetition in nanoseconds. */
  List<Long> run(BenchGrid.Test test, int repetitions, boolean warmUp) {
    try (LlamaContext context = model.newContext(test.options());
        LlamaSession session = context.newSession()) {
      if (warmUp) {
        read(session, test.promptTokens(), test.options().batchTokens());
        session.clear();
        warmDecode(session, test);
        session.clear();
      }
      List<Long> nanos = new ArrayList<>(repetitions);
      for (int i = 0; i < repetitions; i++) {
        fill(session, test);
        long start = System.nanoTime();
        read(session, test.promptTokens(), test.options().batchTokens());
        decode(session, test.answerTokens());
        nanos.add(System.nanoTime() - start);
      }
      return nanos;
    }
  }

  /**
   * At least one token, as llama-bench; with a small model more, until the JVM has compiled what is
   * measured.
   */
  private void warmDecode(LlamaSession session, BenchGrid.Test test) {
    if (test.answerTokens() == 0) {
      return;
    }
    long end = System.nanoTime() + WARM_UP_NANOS;
    do {
      session.clear();
      for (int i = 0; i < test.answerTokens(); i++) {
        decode(session, 1);
        if (System.nanoTime() - end > 0) {
          return;
        }
      }
    } while (true);
  }

  private void fill(LlamaSession session, BenchGrid.Test test) {
    if (test.depth() > 0 && session.size() > test.depth()) {
      try {
        session.truncate(test.depth());
        return;
      } catch (UnsupportedOperationForModelException e) {
        // A recurrent state is filled anew.
      }
    }
    session.clear();
    read(session, test.depth(), test.options().batchTokens());
  }

  private void read(LlamaSession session, int count, int batch) {
    int left = count;
    while (left > 0) {
      int[] tokens = new int[Math.min(left, batch)];
      for (int i = 0; i < tokens.length; i++) {
        tokens[i] = i == 0 && session.size() == 0 ? first() : random.nextInt(vocabulary());
      }
      session.append(tokens, cancellation, (done, total) -> {});
      left -= tokens.length;
    }
  }

  private void decode(LlamaSession session, int count) {
    int vocabulary = vocabulary();
    one[0] = first();
    for (int i = 0; i < count; i++) {
      session.append(one);
      if (cancellation.isCancelled()) {
        throw new dev.gatun.error.OperationCancelledException("the benchmark was interrupted");
      }
      one[0] = random.nextInt(vocabulary);
    }
  }

  private int first() {
    Tokenizer tokenizer = model.tokenizer();
    return tokenizer.addsBos() && tokenizer.bos().isPresent()
        ? tokenizer.bos().getAsInt()
        : random.nextInt(vocabulary());
  }

  private int vocabulary() {
    return model.vocabularySize();
  }
}
