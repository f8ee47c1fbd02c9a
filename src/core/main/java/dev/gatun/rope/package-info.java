/**
 * Position scaling as values: what a model's rotation becomes when a text is longer than it was
 * trained for ({@link dev.gatun.rope.RopeScaling}), which scaling to choose ({@link
 * dev.gatun.rope.RopeAdvisor}), and readers of what people write elsewhere.
 */
@NullMarked
package dev.gatun.rope;

import org.jspecify.annotations.NullMarked;
