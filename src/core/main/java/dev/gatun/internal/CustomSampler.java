package dev.gatun.internal;

import dev.gatun.bindings.SamplerCallbacks;
import dev.gatun.error.CallbackException;
import dev.gatun.sampling.Custom;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** A sampler written in Java, as a part of a native chain. */
final class CustomSampler implements SamplerCallbacks.Work {
  private final Custom custom;
  private final SamplerCallbacks callbacks = SamplerCallbacks.of(this);
  private final NativeCandidates candidates = new NativeCandidates();

  CustomSampler(Custom custom) {
    this.custom = custom;
  }

  /**
   * Returns the {@code llama_sampler}; the caller adds it to a chain that is freed before the
   * arena.
   */
  MemorySegment newSampler(Arena arena) {
    return callbacks.newSampler(arena);
  }

  @Override
  public void apply(MemorySegment array) {
    candidates.begin(array);
    try {
      custom.function().apply(candidates);
    } finally {
      candidates.end();
    }
  }

  @Override
  public void accept(int token) {
    custom.function().accept(token);
  }

  @Override
  public void reset() {
    custom.function().reset();
  }

  /** Throws what the Java side threw during the last native call. */
  void rethrow() {
    callbacks
        .takeFailure()
        .ifPresent(
            thrown -> {
              throw new CallbackException(
                  "the custom sampler '" + custom.name() + "' threw " + thrown, thrown);
            });
  }
}
