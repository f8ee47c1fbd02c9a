/** Devices in, placement out. */
@NullMarked
package dev.gatun.offload;

import org.jspecify.annotations.NullMarked;
