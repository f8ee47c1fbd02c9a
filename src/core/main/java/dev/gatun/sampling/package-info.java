/**
 * Samplers and grammars as values. A {@link dev.gatun.sampling.Sampler} says how the next token is
 * chosen; nothing here touches native code, so a value may be shared, compared, stored and used for
 * any model.
 *
 * <p>Parameters are checked where they are made: a value that exists can be built.
 */
@NullMarked
package dev.gatun.sampling;

import org.jspecify.annotations.NullMarked;
