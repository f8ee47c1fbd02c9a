/** KV cells: their types and what they cost. */
@NullMarked
package dev.gatun.kv;

import org.jspecify.annotations.NullMarked;
