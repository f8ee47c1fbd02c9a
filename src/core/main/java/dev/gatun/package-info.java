/**
 * The public heart: {@link dev.gatun.LlamaRuntime} (native libraries and devices), {@link
 * dev.gatun.LlamaModel} (weights), {@link dev.gatun.LlamaContext} (KV cells for n sequences),
 * {@link dev.gatun.LlamaSession} (one sequence) and {@link dev.gatun.Generation} (a closeable
 * stream of pieces).
 */
@NullMarked
package dev.gatun;

import org.jspecify.annotations.NullMarked;
