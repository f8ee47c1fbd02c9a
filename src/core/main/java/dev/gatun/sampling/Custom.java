package dev.gatun.sampling;

import java.util.Objects;

/**
 * A sampler written in Java. It may stand anywhere in a chain; at the end it must call {@link
 * Candidates#select}.
 *
 * <p>Costs about 0.1 µs for each token besides what the function does. What the function throws
 * ends the generation with a {@link dev.gatun.error.CallbackException}.
 *
 * @param name for messages
 * @param function called once for each token, on the thread that generates
 */
public record Custom(String name, CandidateFunction function) implements Sampler {
  /** Checks that both are there. */
  public Custom {
    Objects.requireNonNull(name, "name");
    Objects.requireNonNull(function, "function");
  }

  @Override
  public boolean selects() {
    return true;
  }
}
