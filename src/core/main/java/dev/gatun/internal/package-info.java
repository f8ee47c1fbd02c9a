/**
 * Native objects: handles with their owner, guards, and the translation of values into C and of C
 * codes into typed errors. Not exported. The only importer of {@code dev.gatun.bindings}.
 */
@NullMarked
package dev.gatun.internal;

import org.jspecify.annotations.NullMarked;
