/**
 * Pure-Java reader and writer of GGUF model files: metadata, tensor tables and splits.
 *
 * <p>Nothing here needs the native library. {@link dev.gatun.gguf.GgufFile#open} reads and checks a
 * file, {@link dev.gatun.gguf.ModelFileCheck} refuses what would make native code abort.
 */
@NullMarked
package dev.gatun.gguf;

import org.jspecify.annotations.NullMarked;
