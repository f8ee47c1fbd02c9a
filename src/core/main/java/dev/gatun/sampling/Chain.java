package dev.gatun.sampling;

import java.util.List;

/**
 * Samplers applied in order; a chain in a chain is the same as its samplers. An empty chain does
 * nothing.
 *
 * @apiNote Calls {@code llama_sampler_chain_add} for each.
 * @param samplers the samplers
 */
public record Chain(List<Sampler> samplers) implements Sampler {
  private static final int MAX_DEPTH = 100;

  /** Copies the list. */
  public Chain {
    samplers = List.copyOf(samplers);
    if (depth(samplers) > MAX_DEPTH) {
      throw new IllegalArgumentException("chains stand more than " + MAX_DEPTH + " deep in chains");
    }
  }

  private static int depth(List<Sampler> samplers) {
    int depth = 0;
    for (Sampler sampler : samplers) {
      if (sampler instanceof Chain inner) {
        depth = Math.max(depth, 1 + depth(inner.samplers));
      }
    }
    return depth;
  }

  @Override
  public boolean selects() {
    return !samplers.isEmpty() && samplers.getLast().selects();
  }

  @Override
  public boolean isNeutral() {
    return samplers.stream().allMatch(Sampler::isNeutral);
  }

  /** Returns the samplers with the chains among them resolved. */
  public List<Sampler> flattened() {
    return samplers.stream()
        .<Sampler>mapMulti(
            (sampler, sink) -> {
              if (sampler instanceof Chain inner) {
                inner.flattened().forEach(sink);
              } else {
                sink.accept(sampler);
              }
            })
        .toList();
  }
}
