package dev.gatun.kv;

/**
 * What moving the used cells of a cache to its front gained.
 *
 * <p>Immutable; any thread.
 *
 * @param movedCells cells that changed their place, counted in each cache of the model
 * @param extentBefore cells that attention ran over: the highest used one + 1, summed over the
 *     pools of cells
 * @param extentAfter cells that it runs over now, which are those in use
 * @param releasedBytes host memory that went back to the system; on Linux, 0 elsewhere
 */
public record Compaction(
    long movedCells, long extentBefore, long extentAfter, long releasedBytes) {}
