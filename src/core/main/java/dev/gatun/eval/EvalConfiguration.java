package dev.gatun.eval;

import dev.gatun.ContextOptions;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import java.util.Objects;

/**
 * What is measured: a model, how its contexts are made, how positions are scaled. Immutable; the
 * model stays the caller's.
 *
 * @param model the model
 * @param options KV types, threads and so on; length, scaling, batch and number of sequences are
 *     set for each task
 * @param scaling position scaling
 */
public record EvalConfiguration(LlamaModel model, ContextOptions options, ContextScaling scaling) {
  /** Checks that all are there. */
  public EvalConfiguration {
    Objects.requireNonNull(model, "model");
    Objects.requireNonNull(options, "options");
    Objects.requireNonNull(scaling, "scaling");
  }

  /**
   * Makes a context for one sequence; the batch is the micro batch.
   *
   * @param contextTokens its length in tokens
   */
  LlamaContext newContext(int contextTokens) {
    return model.newContext(
        options
            .withContextTokens(contextTokens)
            .withMaxSequences(1)
            .withBatchTokens(options.microBatchTokens())
            .withRopeScaling(scaling.at(model, contextTokens)));
  }

  /** What decides about a result, in words: the number of threads does not. */
  String identity(int contextTokens) {
    return model.file().fingerprint()
        + ' '
        + model.file().fileBytes()
        + ' '
        + options
            .withContextTokens(contextTokens)
            .withThreads(1)
            .withBatchThreads(1)
            .withPolling(0)
            .withRopeScaling(scaling.at(model, contextTokens))
        + ' '
        + scaling.label();
  }
}
