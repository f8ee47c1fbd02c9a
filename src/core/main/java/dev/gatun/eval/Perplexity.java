package dev.gatun.eval;

import dev.gatun.Cancellation;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.LlamaSession;
import dev.gatun.LogitsConsumer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/**
 * Perplexity of a text, as {@code llama-perplexity} defines it: the whole text is tokenized at once
 * and cut into windows; each window is read from an empty context, its first token replaced by the
 * model's beginning token where the model wants one; {@link Scoring} says which tokens count.
 *
 * <p>With a reference, the distributions of two configurations are compared token by token; the
 * logits of at most 64 MiB are kept at a time.
 *
 * <p>Immutable.
 */
public final class Perplexity implements EvalTask {
  /** Most tokens read between two looks at the progress. */
  private static final int CHUNK_TOKENS = 512;

  private static final int CHUNK_BYTES = 64 << 20;

  private final EvalConfiguration configuration;
  private final int[] tokens;
  private final PerplexityOptions options;
  private final Optional<EvalConfiguration> reference;
  private final WindowPlan plan;
  private final OptionalInt begin;

  private Perplexity(
      EvalConfiguration configuration,
      int[] tokens,
      PerplexityOptions options,
      Optional<EvalConfiguration> reference) {
    this.configuration = configuration;
    this.tokens = tokens;
    this.options = options;
    this.reference = reference;
    this.plan = WindowPlan.of(tokens.length, options);
    LlamaModel model = configuration.model();
    this.begin = model.tokenizer().addsBos() ? model.tokenizer().bos() : OptionalInt.empty();
    if (reference.isPresent()
        && reference.get().model().vocabularySize() != model.vocabularySize()) {
      throw new IllegalArgumentException(
          "a model with %,d tokens cannot be compared with one with %,d; give two with the same vocabulary"
              .formatted(model.vocabularySize(), reference.get().model().vocabularySize()));
    }
  }

  /**
   * Returns a task.
   *
   * @param configuration what to measure
   * @param tokens the text, from {@link #tokens}
   * @param options how
   * @throws IllegalArgumentException if the text does not fill one window
   */
  public static Perplexity of(
      EvalConfiguration configuration, int[] tokens, PerplexityOptions options) {
    return new Perplexity(configuration, tokens.clone(), options, Optional.empty());
  }

  /**
   * Returns a task that also compares with another configuration.
   *
   * @param other the reference, with the same vocabulary
   */
  public Perplexity against(EvalConfiguration other) {
    return new Perplexity(configuration, tokens, options, Optional.of(other));
  }

  /**
   * Returns the tokens of a text as {@code llama-perplexity} makes them: all of it at once, with
   * the model's beginning token, names of special tokens as plain text.
   */
  public static int[] tokens(LlamaModel model, String text) {
    int[] ids = model.tokenizer().encode(text, true, false);
    // An end token in the middle of nothing is nothing to foresee.
    return model.tokenizer().addsEos() ? Arrays.copyOf(ids, ids.length - 1) : ids;
  }

  @Override
  public String identity() {
    int length = options.contextTokens();
    return "perplexity "
        + configuration.identity(length)
        + ' '
        + options
        + " of "
        + EvalLog.digest(tokens)
        + reference.map(other -> " against " + other.identity(length)).orElse("");
  }

  @Override
  public long tokens() {
    return (long) plan.count() * plan.read();
  }

  @Override
  public EvalPoint run(Cancellation cancellation, EvalProgress progress) {
    int vocabulary = configuration.model().vocabularySize();
    try (Arena arena = Arena.ofConfined();
        LlamaContext context = configuration.newContext(options.contextTokens());
        LlamaSession session = context.newSession()) {
      if (reference.isEmpty()) {
        return run(session, cancellation, progress);
      }
      Run run = new Run(session, cancellation, progress, System.nanoTime());
      try (LlamaContext other = reference.get().newContext(options.contextTokens());
          LlamaSession otherSession = other.newSession()) {
        MemorySegment kept =
            arena.allocate(ValueLayout.JAVA_FLOAT, (long) chunkTokens(vocabulary) * vocabulary);
        run.compareWith(otherSession, kept);
        return run.measure();
      }
    }
  }

  /**
   * Measures in a session of a context that was made before, whatever its scaling is now.
   *
   * @param session of a context for so many tokens; what it holds is forgotten
   */
  EvalPoint run(LlamaSession session, Cancellation cancellation, EvalProgress progress) {
    return new Run(session, cancellation, progress, System.nanoTime()).measure();
  }

  private static int chunkTokens(int vocabulary) {
    return Math.clamp(CHUNK_BYTES / (4L * vocabulary), 1, CHUNK_TOKENS);
  }

  /** One measurement: windows over one or two sessions. */
  private final class Run {
    private final LlamaSession session;
    private final Cancellation cancellation;
    private final EvalProgress progress;
    private final long start;
    private final int vocabulary = configuration.model().vocabularySize();
    private final int[] window = new int[plan.length()];
    private final Scores scores =
        new Scores(vocabulary, plan.length(), options.bins(), reference.isPresent());
    private Optional<LlamaSession> other = Optional.empty();
    private MemorySegment kept = MemorySegment.NULL;

    /** Index in the window of the token whose logits are the first in {@link #kept}. */
    private int keptFrom;

    private final LogitsConsumer keep =
        (index, logits) ->
            MemorySegment.copy(
                logits, 0, kept, 4L * vocabulary * (index - keptFrom), 4L * vocabulary);
    private final LogitsConsumer score =
        (index, logits) -> scores.add(logits, index + 1, window[index + 1]);
    private final LogitsConsumer compare =
        (index, logits) -> scores.add(logits, kept, index - keptFrom, index + 1, window[index + 1]);

    Run(LlamaSession session, Cancellation cancellation, EvalProgress progress, long start) {
      this.session = session;
      this.cancellation = cancellation;
      this.progress = progress;
      this.start = start;
    }

    void compareWith(LlamaSession reference, MemorySegment kept) {
      this.other = Optional.of(reference);
      this.kept = kept;
    }

    EvalPoint measure() {
      for (int i = 0; i < plan.count(); i++) {
        System.arraycopy(tokens, plan.start(i), window, 0, window.length);
        if (begin.isPresent()) {
          window[0] = begin.getAsInt();
        }
        session.clear();
        other.ifPresent(LlamaSession::clear);
        read(i);
      }
      return point(plan.count());
    }

    private void read(int index) {
      int most = chunkTokens(vocabulary);
      int from = 0;
      while (from < plan.read()) {
        int end = Math.min(from + most, from < plan.first() ? plan.first() : plan.read());
        int[] ids = Arrays.copyOfRange(window, from, end);
        if (from < plan.first()) {
          other.ifPresent(o -> o.append(ids, cancellation, (_, _) -> {}));
          session.append(ids, cancellation, (_, _) -> {});
        } else {
          keptFrom = from;
          other.ifPresent(o -> o.evaluate(ids, cancellation, keep));
          session.evaluate(ids, cancellation, other.isPresent() ? compare : score);
        }
        from = end;
        progress.onProgress((long) index * plan.read() + from, point(index + 1));
      }
    }

    private EvalPoint point(int windows) {
      return new EvalPoint(
          configuration.scaling().label(),
          plan.length(),
          OptionalDouble.empty(),
          scores.isEmpty() ? Optional.empty() : Optional.of(scores.result(windows)),
          Optional.empty(),
          Duration.ofNanos(System.nanoTime() - start));
    }
  }
}
