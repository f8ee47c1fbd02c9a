/** How Gatun makes files. A leaf; not exported. */
@NullMarked
package dev.gatun.files;

import org.jspecify.annotations.NullMarked;
