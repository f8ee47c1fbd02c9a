/** The functions, structs and constants of llama.cpp and the shim; regenerated, never edited. */
@NullMarked
package dev.gatun.bindings.generated;

import org.jspecify.annotations.NullMarked;
