/** Commands; no logic that a library user would miss. */
@NullMarked
package dev.gatun.cli;

import org.jspecify.annotations.NullMarked;
