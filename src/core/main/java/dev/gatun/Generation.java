package dev.gatun;

import dev.gatun.error.OperationCancelledException;
import dev.gatun.internal.ExclusiveGuard;
import dev.gatun.internal.LogProbabilities;
import dev.gatun.internal.NativeModel;
import dev.gatun.internal.NativeSampler;
import dev.gatun.internal.StopMatcher;
import dev.gatun.sampling.Chain;
import dev.gatun.sampling.LogitBias;
import dev.gatun.sampling.Sampler;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/**
 * A text being generated, piece by piece. Nothing is computed before a piece is asked for.
 *
 * <p>Thread: pieces are taken by the thread that drives the context; {@link #cancel()} and {@link
 * #close()} are for any thread.
 *
 * <p>Lifetime: reading it to its end frees it; else close it. The session goes on where it ended.
 */
@ThreadConfined("the thread that drives the context")
public final class Generation implements AutoCloseable, Iterable<Piece> {
  private final LlamaSession session;
  private final GenerationOptions options;
  private final int[] prompt;
  private final int cachedTokens;
  private final NativeModel model;
  private final NativeSampler sampler;
  private final StreamDecoder decoder;
  private final StopMatcher stops;
  private final Operation operation;
  private final ExclusiveGuard guard = new ExclusiveGuard("the generation");

  private boolean started;
  private volatile @Nullable StopReason stopReason;
  private volatile int promptTokens;
  private volatile int completionTokens;
  private final long droppedBefore;
  private volatile long droppedTokens;
  private volatile long promptNanos;
  private volatile long generationNanos;
  private int lastToken;

  Generation(LlamaSession session, int[] prompt, GenerationOptions options) {
    this.session = session;
    this.options = options;
    this.prompt = prompt;
    this.cachedTokens = session.readTokens();
    this.promptTokens = session.size();
    this.droppedBefore = session.droppedTokens();
    LlamaModel owner = session.context().model();
    this.model = owner.nativeModel();
    this.decoder = owner.tokenizer().newStreamDecoder(options.specialPieces());
    this.stops = new StopMatcher(options.stops());
    this.operation = session.newOperation(options.cancellation(), options.deadline());
    model.retain();
    try {
      this.sampler = NativeSampler.create(model, samplerOf(options, owner.tokenizer()));
    } catch (RuntimeException | Error e) {
      model.release();
      throw e;
    }
  }

  private static Sampler samplerOf(GenerationOptions options, Tokenizer tokenizer) {
    if (!options.ignoreEndOfGeneration()) {
      return options.sampler();
    }
    return new Chain(
        List.of(LogitBias.never(tokenizer.endOfGenerationTokens()), options.sampler()));
  }

  /**
   * Returns the next piece; the first call reads the prompt.
   *
   * @return empty when the generation has ended; {@link #stopReason()} then says why
   * @throws dev.gatun.error.DecodeException if a decode failed; the generation has ended
   * @throws dev.gatun.error.CallbackException if a custom sampler threw; the generation has ended
   * @throws dev.gatun.error.AlreadyClosedException if the session or the context was closed
   */
  public Optional<Piece> next() {
    if (stopReason != null) {
      return Optional.empty();
    }
    guard.enter();
    Optional<Piece> piece;
    try {
      piece = stopReason == null ? Optional.ofNullable(step()) : Optional.empty();
    } catch (RuntimeException | Error e) {
      stopReason = StopReason.CANCELLED;
      throw e;
    } finally {
      guard.exit();
      if (stopReason != null) {
        close();
      }
    }
    return piece;
  }

  private @Nullable Piece step() {
    if (operation.isCancelled()) {
      return end(StopReason.CANCELLED);
    }
    if (operation.isOverdue()) {
      return end(StopReason.DEADLINE);
    }
    session.enter();
    try {
      return started ? sample(System.nanoTime()) : start();
    } catch (OperationCancelledException e) {
      return end(operation.isCancelled() ? StopReason.CANCELLED : StopReason.DEADLINE);
    } finally {
      session.exit();
    }
  }

  private @Nullable Piece start() {
    long begin = System.nanoTime();
    session.run(
        operation,
        () -> {
          session.feed(prompt, operation, options.prefillProgress());
          session.computeLogits(operation);
        });
    promptTokens = session.size();
    sampler.acceptPrompt(session.tokens());
    started = true;
    long now = System.nanoTime();
    promptNanos = now - begin;
    return sample(now);
  }

  private @Nullable Piece sample(long begin) {
    if (session.isFull()) {
      return end(StopReason.CONTEXT_FULL); // the prompt has left no room for a token
    }
    session.run(operation, () -> session.computeLogits(operation));
    int token = sampler.sample(session.nativeContext().handle(), -1);
    Tokenizer tokenizer = session.context().model().tokenizer();
    if (tokenizer.isEndOfGeneration(token) && !options.ignoreEndOfGeneration()) {
      generationNanos += System.nanoTime() - begin;
      return end(StopReason.END_OF_GENERATION);
    }
    OptionalDouble logProbability = OptionalDouble.empty();
    List<TokenProbability> alternatives = List.of();
    if (options.logProbabilities().isPresent()) {
      int size = tokenizer.size();
      MemorySegment logits = session.nativeContext().logits(-1, size);
      double sum = LogProbabilities.logSumExp(logits, size);
      logProbability = OptionalDouble.of(logit(logits, token) - sum);
      alternatives = alternatives(logits, size, sum, options.logProbabilities().getAsInt());
    }
    lastToken = token;
    session.run(operation, () -> session.addPending(token, operation));
    completionTokens++;
    droppedTokens = session.droppedTokens() - droppedBefore;
    String text = stops.append(decoder.next(token));
    if (stops.isMatched()) {
      stopReason = StopReason.STOP_STRING;
    } else if (completionTokens >= options.maxTokens()) {
      stopReason = StopReason.TOKEN_BUDGET;
    } else if (session.isFull()) {
      stopReason = StopReason.CONTEXT_FULL;
    }
    if (stopReason != null) {
      text += tail();
    }
    generationNanos += System.nanoTime() - begin;
    return new Piece(token, text, logProbability, alternatives);
  }

  private static List<TokenProbability> alternatives(
      MemorySegment logits, int size, double sum, int count) {
    List<TokenProbability> list = new ArrayList<>(count);
    for (int id : LogProbabilities.top(logits, size, Math.min(count, size))) {
      list.add(new TokenProbability(id, logit(logits, id) - sum));
    }
    return List.copyOf(list);
  }

  private static float logit(MemorySegment logits, int token) {
    return logits.getAtIndex(ValueLayout.JAVA_FLOAT, token);
  }

  /** Ends the generation between tokens; text that was held back comes out as a last piece. */
  private @Nullable Piece end(StopReason reason) {
    stopReason = reason;
    String text = tail();
    return text.isEmpty() ? null : new Piece(lastToken, text, OptionalDouble.empty(), List.of());
  }

  private String tail() {
    return stops.isMatched() ? "" : stops.append(decoder.finish()) + stops.finish();
  }

  /**
   * Returns the pieces that are still to come. A piece that only releases held-back text at the end
   * repeats the id of the token before it.
   */
  @Override
  public Iterator<Piece> iterator() {
    return new Iterator<>() {
      private Optional<Piece> ahead = Optional.empty();

      @Override
      public boolean hasNext() {
        if (ahead.isEmpty()) {
          ahead = Generation.this.next();
        }
        return ahead.isPresent();
      }

      @Override
      public Piece next() {
        if (!hasNext()) {
          throw new NoSuchElementException("the generation has ended: " + stopReason);
        }
        Piece piece = ahead.orElseThrow();
        ahead = Optional.empty();
        return piece;
      }
    };
  }

  /**
   * Returns the pieces that are still to come, as a sequential stream. Close it to end the
   * generation early.
   */
  public Stream<Piece> stream() {
    return StreamSupport.stream(
            Spliterators.spliteratorUnknownSize(
                iterator(), Spliterator.ORDERED | Spliterator.NONNULL),
            false)
        .onClose(this::close);
  }

  /** Reads to the end and returns the text of the pieces that were still to come. */
  public String text() {
    StringBuilder text = new StringBuilder();
    for (Piece piece : this) {
      text.append(piece.text());
    }
    return text.toString();
  }

  /** Returns why the generation ended; empty while it goes on. */
  public Optional<StopReason> stopReason() {
    return Optional.ofNullable(stopReason);
  }

  /** Returns what it has cost so far. */
  public TokenUsage usage() {
    return new TokenUsage(
        promptTokens,
        Math.min(cachedTokens, promptTokens),
        completionTokens,
        droppedTokens,
        Duration.ofNanos(promptNanos),
        Duration.ofNanos(generationNanos));
  }

  /**
   * Ends the generation soon, also inside the prefill; the next piece is then the last. From any
   * thread.
   */
  public void cancel() {
    operation.cancel();
  }

  /**
   * Ends the generation, waits for the step that runs and frees what it holds. Idempotent; from any
   * thread.
   *
   * @throws IllegalStateException if it is called from inside a custom sampler of this generation
   */
  @Override
  public void close() {
    if (guard.close(operation::cancel)) {
      if (stopReason == null) {
        stopReason = StopReason.CANCELLED;
      }
      sampler.close();
      model.release();
      session.ended(this);
    }
  }
}
