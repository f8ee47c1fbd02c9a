package dev.gatun.eval;

import dev.gatun.Cancellation;
import dev.gatun.LlamaSession;
import dev.gatun.internal.HostMemory;
import dev.gatun.internal.LogProbabilities;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.function.Consumer;

/**
 * Reads a text of any length through one session and tells, bin by bin, how well the model foresees
 * it, what a token costs and how much memory the process holds: what a policy of overflow is worth.
 *
 * <p>Beside it the expensive way can be sampled: for some tokens the window before them is read
 * again from an empty context, and both are compared on the same tokens.
 *
 * <p>One thread.
 */
public final class StreamRun {
  private static final double NANOS_PER_MILLI = 1e6;

  /**
   * One part of the text.
   *
   * @param tokens tokens read up to its end
   * @param perplexity over the tokens of this bin
   * @param residentBytes resident memory of the process at its end; empty where the system does not
   *     tell
   * @param msPerToken milliseconds for each token, without the recomputed samples
   * @param heldTokens cells in use at its end
   * @param droppedTokens tokens dropped up to its end
   * @param recomputed the samples that were read the expensive way
   */
  public record Bin(
      long tokens,
      double perplexity,
      OptionalLong residentBytes,
      double msPerToken,
      int heldTokens,
      long droppedTokens,
      Optional<Recomputed> recomputed) {}

  /**
   * The expensive way, on a sample of the tokens.
   *
   * @param samples number of tokens
   * @param perplexity with the window read again for each token
   * @param streamedPerplexity of the stream, on the same tokens
   * @param msPerToken milliseconds for each token
   */
  public record Recomputed(
      long samples, double perplexity, double streamedPerplexity, double msPerToken) {}

  private final LlamaSession session;
  private final Optional<LlamaSession> other;
  private final int every;
  private final int binTokens;
  private final Consumer<Bin> listener;
  private final int window;
  private final int vocabulary;
  private final OptionalInt begin;

  /** The last tokens before the next chunk, {@link #window} at most, and then the chunk. */
  private int[] history = new int[0];

  private int historyTokens;
  private int pending = -1;
  private long read;
  private double sum;
  private long count;
  private long nanos;
  private long otherNanos;
  private long samples;
  private double sampledSum;
  private double recomputedSum;
  private double[] sampledLosses = new double[0];

  private StreamRun(
      LlamaSession session,
      Optional<LlamaSession> other,
      int every,
      int binTokens,
      Consumer<Bin> listener) {
    if (binTokens < 1 || every < 1) {
      throw new IllegalArgumentException("a bin and the distance of samples need at least 1 token");
    }
    this.session = session;
    this.other = other;
    this.every = every;
    this.binTokens = binTokens;
    this.listener = listener;
    this.window = session.size() + session.remaining();
    this.vocabulary = session.context().model().vocabularySize();
    this.begin =
        session.context().model().tokenizer().addsBos()
            ? session.context().model().tokenizer().bos()
            : OptionalInt.empty();
  }

  /**
   * Returns a run over an empty session.
   *
   * @param binTokens tokens of a bin
   * @param listener is told of each bin
   */
  public static StreamRun of(LlamaSession session, int binTokens, Consumer<Bin> listener) {
    return new StreamRun(session, Optional.empty(), 1, binTokens, listener);
  }

  /**
   * Returns a run that also reads the window of every so-manyth token again.
   *
   * @param other an empty session of another context of the same model, as large as the budget
   * @param every distance between sampled tokens
   */
  public StreamRun comparedWith(LlamaSession other, int every) {
    return new StreamRun(session, Optional.of(other), every, binTokens, listener);
  }

  /**
   * Reads on. The last token waits for the next call, which says what follows it.
   *
   * @throws dev.gatun.error.OperationCancelledException if it was cancelled; the bins so far stand,
   *     and {@link #finish} tells of what was read since
   */
  public void read(int[] ids, Cancellation cancellation) {
    int from = 0;
    while (from < ids.length) {
      long toBin = binTokens - read % binTokens;
      int taken = (int) Math.min(ids.length - from, pending < 0 ? toBin + 1 : toBin);
      int[] part = new int[taken + (pending < 0 ? 0 : 1)];
      if (pending >= 0) {
        part[0] = pending;
      }
      System.arraycopy(ids, from, part, part.length - taken, taken);
      from += taken;
      pending = part[part.length - 1];
      if (part.length > 1) {
        step(part, cancellation);
      }
      if (read > 0 && read % binTokens == 0 && count > 0) {
        endBin();
      }
    }
  }

  /** Tells of the last bin, if it is not empty. */
  public void finish() {
    if (count > 0) {
      endBin();
    }
  }

  /** Reads all tokens but the last. */
  private void step(int[] part, Cancellation cancellation) {
    int n = part.length - 1;
    remember(part, n);
    int firstSample = (int) ((every - read % every) % every);
    if (other.isPresent() && sampledLosses.length < n) {
      sampledLosses = new double[n];
    }
    int[] next = {0};
    long began = System.nanoTime();
    try {
      session.evaluate(
          Arrays.copyOf(part, n),
          cancellation,
          (_, logits) -> {
            double loss = loss(logits, part[next[0] + 1]);
            if (other.isPresent()) {
              sampledLosses[next[0]] = loss;
            }
            next[0]++;
            sum += loss;
          });
    } finally {
      // What was measured counts, also when the rest was cancelled.
      nanos += System.nanoTime() - began;
      count += next[0];
      read += next[0];
    }
    if (other.isPresent()) {
      recompute(part, n, firstSample, cancellation);
    }
  }

  private void recompute(int[] part, int n, int firstSample, Cancellation cancellation) {
    for (int i = firstSample; i < n; i += every) {
      int end = historyTokens - n + i + 1;
      if (end < window) {
        continue; // the stream has dropped nothing yet
      }
      int[] again = Arrays.copyOfRange(history, end - window, end);
      if (begin.isPresent()) {
        again[0] = begin.getAsInt();
      }
      other.get().clear();
      long began = System.nanoTime();
      other.get().append(again, cancellation, (_, _) -> {});
      recomputedSum += loss(other.get().logits(), part[i + 1]);
      otherNanos += System.nanoTime() - began;
      sampledSum += sampledLosses[i];
      samples++;
    }
  }

  /** Keeps the window before a part, and the part. */
  private void remember(int[] part, int n) {
    if (other.isEmpty()) {
      return;
    }
    int kept = Math.min(window, historyTokens);
    if (history.length < kept + n) {
      history = Arrays.copyOf(history, Math.max(kept + n, history.length));
    }
    System.arraycopy(history, historyTokens - kept, history, 0, kept);
    System.arraycopy(part, 0, history, kept, n);
    historyTokens = kept + n;
  }

  private double loss(MemorySegment logits, int token) {
    return LogProbabilities.logSumExp(logits, vocabulary)
        - logits.getAtIndex(ValueLayout.JAVA_FLOAT, token);
  }

  private void endBin() {
    Optional<Recomputed> recomputed =
        samples == 0
            ? Optional.empty()
            : Optional.of(
                new Recomputed(
                    samples,
                    Math.exp(recomputedSum / samples),
                    Math.exp(sampledSum / samples),
                    otherNanos / NANOS_PER_MILLI / samples));
    listener.accept(
        new Bin(
            read,
            Math.exp(sum / count),
            HostMemory.residentBytes(),
            nanos / NANOS_PER_MILLI / count,
            session.size(),
            session.droppedTokens(),
            recomputed));
    sum = 0;
    count = 0;
    nanos = 0;
    otherNanos = 0;
    samples = 0;
    sampledSum = 0;
    recomputedSum = 0;
  }
}
