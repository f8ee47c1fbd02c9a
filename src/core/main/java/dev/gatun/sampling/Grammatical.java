package dev.gatun.sampling;

import java.util.Objects;

/**
 * Lets only tokens through that continue a text of the grammar; end-of-generation tokens only where
 * the text is complete.
 *
 * <p>Put it first in a chain: there the whole vocabulary is looked at only when the rest of the
 * chain chose a token that the grammar refuses. Anywhere else, what stands before it may leave
 * nothing that the grammar allows.
 *
 * @apiNote Calls {@code llama_sampler_init_grammar} or {@code
 *     llama_sampler_init_grammar_lazy_patterns}.
 * @param grammar the grammar
 */
public record Grammatical(Grammar grammar) implements Sampler {
  /** Checks that the grammar is there. */
  public Grammatical {
    Objects.requireNonNull(grammar, "grammar");
  }
}
