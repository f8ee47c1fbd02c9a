/** The exception family. A leaf: it imports nothing of Gatun. */
@NullMarked
package dev.gatun.error;

import org.jspecify.annotations.NullMarked;
