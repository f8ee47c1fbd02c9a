/**
 * Measures what a model does at a length: perplexity and KL divergence of a text, recall of facts
 * hidden in prose.
 *
 * <p>What is measured is an {@link dev.gatun.eval.EvalTask}; {@link dev.gatun.eval.Evaluation} runs
 * a list of them, tells how far it is and skips what an {@link dev.gatun.eval.EvalLog} has already.
 * Each gives an {@link dev.gatun.eval.EvalPoint}.
 */
@NullMarked
package dev.gatun.eval;

import org.jspecify.annotations.NullMarked;
