package dev.gatun;

import dev.gatun.internal.NativeCells;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Puts chunks behind what a session holds. All rows are first brought to their positions, with one
 * turn of the keys, and copied out again; then the text is built from its beginning, because a
 * token can only be read behind the last one. Inside the context's guard.
 */
final class ChunkAssembly {
  private static final PrefillProgress QUIET = (done, total) -> {};

  private final SessionCells cells;
  private final List<CachedChunk> chunks;
  private final ChunkOptions options;
  private final int begin;
  private long placing;
  private long recomputing;
  private int reused;
  private int recomputed;

  ChunkAssembly(SessionCells cells, List<CachedChunk> chunks, ChunkOptions options) {
    this.cells = cells;
    this.chunks = chunks;
    this.options = options;
    this.begin = cells.held().size();
  }

  ChunkReport report() {
    return new ChunkReport(
        reused, recomputed, Duration.ofNanos(placing), Duration.ofNanos(recomputing));
  }

  /** Does it; when it fails the session holds what it held before. */
  void run(Operation operation) {
    cells.readTo(begin, operation); // what comes behind counts as read, and so all before it
    try (Arena arena = Arena.ofConfined()) {
      List<MemorySegment> turned = turn(arena);
      for (int i = 0; i < chunks.size(); i++) {
        CachedChunk chunk = chunks.get(i);
        int first = first(chunk);
        long start = System.nanoTime();
        cells.feed(chunk.tokens(), 0, first, operation, QUIET);
        recomputing += System.nanoTime() - start;
        recomputed += first;
        if (first < chunk.size()) {
          start = System.nanoTime();
          int[] ids = Arrays.copyOfRange(chunk.tokens(), first, chunk.size());
          int[] positions = positions(cells.held().next(), ids.length);
          cells.adopt(
              List.of(ids), List.of(new NativeCells.Rows(positions, positions, turned.get(i))));
          placing += System.nanoTime() - start;
          reused += ids.length;
        }
      }
    } catch (RuntimeException | Error e) {
      cells.cutTo(begin);
      throw e;
    }
  }

  /** Returns the rows of each chunk behind its recomputed tokens, as they belong there. */
  private List<MemorySegment> turn(Arena arena) {
    long start = System.nanoTime();
    adoptAll();
    List<MemorySegment> turned = new ArrayList<>();
    int at = begin;
    for (CachedChunk chunk : chunks) {
      int first = first(chunk);
      turned.add(
          first < chunk.size()
              ? cells.read(at + first, at + chunk.size(), arena)
              : MemorySegment.NULL);
      at += chunk.size();
    }
    cells.cutTo(begin);
    placing += System.nanoTime() - start;
    return turned;
  }

  private void adoptAll() {
    List<int[]> ids = new ArrayList<>();
    List<NativeCells.Rows> rows = new ArrayList<>();
    try (Arena call = Arena.ofConfined()) {
      int next = cells.held().next();
      for (CachedChunk chunk : chunks) {
        ids.add(chunk.tokens());
        rows.add(
            new NativeCells.Rows(
                chunk.positions(), positions(next, chunk.size()), chunk.rows(call)));
        next += chunk.size();
      }
      cells.adopt(ids, rows);
    }
  }

  private int first(CachedChunk chunk) {
    return Math.min(options.recompute(), chunk.size());
  }

  private static int[] positions(int from, int count) {
    return IntStream.range(from, from + count).toArray();
  }
}
