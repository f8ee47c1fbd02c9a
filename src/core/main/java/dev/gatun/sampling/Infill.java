package dev.gatun.sampling;

/**
 * For filling a gap in a text: ends the text when that is likely, and merges candidates of which
 * one begins like the other. To be used after {@link TopK} and {@link TopP}, and before any {@link
 * Grammatical}.
 *
 * @apiNote Calls {@code llama_sampler_init_infill}. Needs a vocabulary with an end-of-turn or
 *     end-of-text token.
 */
public record Infill() implements Sampler {}
