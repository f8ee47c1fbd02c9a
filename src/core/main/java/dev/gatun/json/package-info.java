/** The little JSON that the core needs. A leaf; not exported. */
@NullMarked
package dev.gatun.json;

import org.jspecify.annotations.NullMarked;
