/**
 * Finds, loads and checks the native libraries, and is the only code that uses restricted methods
 * of the Foreign Function and Memory API.
 */
@NullMarked
package dev.gatun.bindings;

import org.jspecify.annotations.NullMarked;
