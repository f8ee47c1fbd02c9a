package dev.gatun;

import dev.gatun.rope.RopeScaling;
import java.time.Duration;

/**
 * One step of a {@link dev.gatun.rope.Dynamic} scaling: a text outgrew what the scaling before was
 * good for, and was read again under another.
 *
 * @param lengthTokens length of the text, in tokens, that asked for it
 * @param scaling the scaling from then on
 * @param rereadTokens tokens that had been read before and were read once more
 * @param time how long that took
 */
public record ScalingChange(
    int lengthTokens, RopeScaling scaling, int rereadTokens, Duration time) {}
