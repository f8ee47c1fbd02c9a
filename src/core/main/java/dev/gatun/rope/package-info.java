/** Position scaling as values. */
@NullMarked
package dev.gatun.rope;

import org.jspecify.annotations.NullMarked;
