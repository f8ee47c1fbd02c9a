package dev.gatun;

import dev.gatun.sampling.Sampler;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * How a text is generated. Immutable; start from {@link #defaults()}.
 *
 * @param sampler how the next token is chosen
 * @param maxTokens most tokens to generate
 * @param stops texts that end the generation; they are not part of its text
 * @param deadline time for prefill and generation together, from the start of the generation
 * @param cancellation ends the generation, also inside the prefill
 * @param logProbabilities when present, each piece has its log-probability and this many
 *     alternatives
 * @param specialPieces whether the text shows special tokens, such as end-of-turn marks
 * @param ignoreEndOfGeneration whether to go on after an end-of-generation token
 * @param prefillProgress called while the prompt is read
 */
public record GenerationOptions(
    Sampler sampler,
    int maxTokens,
    List<String> stops,
    Optional<Duration> deadline,
    Cancellation cancellation,
    OptionalInt logProbabilities,
    boolean specialPieces,
    boolean ignoreEndOfGeneration,
    PrefillProgress prefillProgress) {

  /** The most alternatives that can be asked for. */
  public static final int MAX_ALTERNATIVES = 1024;

  /** Copies the list and checks the ranges. */
  public GenerationOptions {
    Objects.requireNonNull(sampler, "sampler");
    stops = List.copyOf(stops);
    Objects.requireNonNull(cancellation, "cancellation");
    Objects.requireNonNull(prefillProgress, "prefillProgress");
    if (maxTokens < 1) {
      throw new IllegalArgumentException("maxTokens must be at least 1, but is " + maxTokens);
    }
    if (stops.stream().anyMatch(String::isEmpty)) {
      throw new IllegalArgumentException("a stop string must not be empty");
    }
    if (deadline.isPresent() && !deadline.get().isPositive()) {
      throw new IllegalArgumentException(
          "the deadline must be a positive time, but is " + deadline.get());
    }
    if (logProbabilities.isPresent()
        && (logProbabilities.getAsInt() < 0 || logProbabilities.getAsInt() > MAX_ALTERNATIVES)) {
      throw new IllegalArgumentException(
          "the number of alternatives must be from 0 to %d, but is %d"
              .formatted(MAX_ALTERNATIVES, logProbabilities.getAsInt()));
    }
  }

  /**
   * Returns the defaults: {@link Sampler#defaults(long)} with a random seed, until the model ends
   * or the context is full.
   */
  public static GenerationOptions defaults() {
    return new GenerationOptions(
        Sampler.defaults(Sampler.RANDOM_SEED),
        Integer.MAX_VALUE,
        List.of(),
        Optional.empty(),
        Cancellation.never(),
        OptionalInt.empty(),
        false,
        false,
        (done, total) -> {});
  }

  /** Returns a copy with another {@link #sampler()}. */
  public GenerationOptions withSampler(Sampler value) {
    return new GenerationOptions(
        value,
        maxTokens,
        stops,
        deadline,
        cancellation,
        logProbabilities,
        specialPieces,
        ignoreEndOfGeneration,
        prefillProgress);
  }

  /** Returns a copy with another {@link #maxTokens()}. */
  public GenerationOptions withMaxTokens(int value) {
    return new GenerationOptions(
        sampler,
        value,
        stops,
        deadline,
        cancellation,
        logProbabilities,
        specialPieces,
        ignoreEndOfGeneration,
        prefillProgress);
  }

  /** Returns a copy with another {@link #stops()}. */
  public GenerationOptions withStops(List<String> value) {
    return new GenerationOptions(
        sampler,
        maxTokens,
        value,
        deadline,
        cancellation,
        logProbabilities,
        specialPieces,
        ignoreEndOfGeneration,
        prefillProgress);
  }

  /** Returns a copy with another {@link #deadline()}. */
  public GenerationOptions withDeadline(Duration value) {
    return new GenerationOptions(
        sampler,
        maxTokens,
        stops,
        Optional.of(value),
        cancellation,
        logProbabilities,
        specialPieces,
        ignoreEndOfGeneration,
        prefillProgress);
  }

  /** Returns a copy with another {@link #cancellation()}. */
  public GenerationOptions withCancellation(Cancellation value) {
    return new GenerationOptions(
        sampler,
        maxTokens,
        stops,
        deadline,
        value,
        logProbabilities,
        specialPieces,
        ignoreEndOfGeneration,
        prefillProgress);
  }

  /** Returns a copy with another {@link #logProbabilities()}. */
  public GenerationOptions withLogProbabilities(int value) {
    return new GenerationOptions(
        sampler,
        maxTokens,
        stops,
        deadline,
        cancellation,
        OptionalInt.of(value),
        specialPieces,
        ignoreEndOfGeneration,
        prefillProgress);
  }

  /** Returns a copy with another {@link #specialPieces()}. */
  public GenerationOptions withSpecialPieces(boolean value) {
    return new GenerationOptions(
        sampler,
        maxTokens,
        stops,
        deadline,
        cancellation,
        logProbabilities,
        value,
        ignoreEndOfGeneration,
        prefillProgress);
  }

  /** Returns a copy with another {@link #ignoreEndOfGeneration()}. */
  public GenerationOptions withIgnoreEndOfGeneration(boolean value) {
    return new GenerationOptions(
        sampler,
        maxTokens,
        stops,
        deadline,
        cancellation,
        logProbabilities,
        specialPieces,
        value,
        prefillProgress);
  }

  /** Returns a copy with another {@link #prefillProgress()}. */
  public GenerationOptions withPrefillProgress(PrefillProgress value) {
    return new GenerationOptions(
        sampler,
        maxTokens,
        stops,
        deadline,
        cancellation,
        logProbabilities,
        specialPieces,
        ignoreEndOfGeneration,
        value);
  }
}
