package dev.gatun.cli;

import dev.gatun.Cancellation;
import dev.gatun.GenerationOptions;
import dev.gatun.sampling.Sampler;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * The flags that say when an answer ends and what is told about it; shared by {@code run} and
 * {@code chat}.
 */
final class AnswerFlags {
  private OptionalInt maxTokens = OptionalInt.empty();
  private final List<String> stops = new ArrayList<>();
  private boolean ignoreEnd;
  private boolean special;
  private OptionalInt logProbabilities = OptionalInt.empty();
  private @Nullable Duration timeout;

  void declare(OptionTable table) {
    table
        .group("Answer:")
        .value(
            "-n,--predict,--n-predict",
            "N",
            "Most tokens of the answer; -1 is as many as the model wants and the context holds"
                + " (-1).",
            v -> {
              int n = Values.whole("-n/--predict", v, -2, Integer.MAX_VALUE);
              if (n == 0) {
                throw CliException.usage("-n/--predict must be at least 1, or -1 for no limit");
              }
              maxTokens = n < 0 ? OptionalInt.empty() : OptionalInt.of(n);
            })
        .value(
            "-r,--stop,--reverse-prompt",
            "TEXT",
            "End the answer before this text; may be given several times.",
            v -> {
              if (v.isEmpty()) {
                throw CliException.usage("--stop needs a text; it is empty");
              }
              stops.add(v);
            })
        .flag("--ignore-eos", "Go on when the model says it is done.", () -> ignoreEnd = true)
        .flag("-sp,--special", "Show special tokens.", () -> special = true)
        .value(
            "--logprobs",
            "N",
            "With --json: log-probabilities, and the N best alternatives of each token.",
            v ->
                logProbabilities =
                    OptionalInt.of(
                        Values.whole("--logprobs", v, 0, GenerationOptions.MAX_ALTERNATIVES)))
        .value(
            "--timeout",
            "SECONDS",
            "End after this time, reading included.",
            v ->
                timeout =
                    Duration.ofMillis((long) (1000 * Values.number("--timeout", v, 0.001, 1e7))));
  }

  OptionalInt maxTokens() {
    return maxTokens;
  }

  /** Returns how much time there is, reading included. */
  Optional<Duration> timeout() {
    return Optional.ofNullable(timeout);
  }

  /** Returns the options of one answer. */
  GenerationOptions options(Sampler sampler, Cancellation cancellation) {
    GenerationOptions options =
        GenerationOptions.defaults().withSampler(sampler).withCancellation(cancellation);
    if (maxTokens.isPresent()) {
      options = options.withMaxTokens(maxTokens.getAsInt());
    }
    if (!stops.isEmpty()) {
      options = options.withStops(stops);
    }
    if (timeout != null) {
      options = options.withDeadline(timeout);
    }
    if (logProbabilities.isPresent()) {
      options = options.withLogProbabilities(logProbabilities.getAsInt());
    }
    if (special) {
      options = options.withSpecialPieces(true);
    }
    return ignoreEnd ? options.withIgnoreEndOfGeneration(true) : options;
  }
}
