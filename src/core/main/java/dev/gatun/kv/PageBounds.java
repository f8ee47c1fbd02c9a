package dev.gatun.kv;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Keys of pages: for each layer and key head the smallest and the largest value of every element
 * over the keys of a page. They bound how well a query can fit any key of the page. Kept in half
 * precision: 4 bytes for each element of a key and page, in a {@link Storage} but for the last
 * pages.
 *
 * <p>A bound is far above what the page holds, by about as much for every page. So a page is judged
 * by how far its bound stands out among those of all pages, in standard deviations, for each query
 * apart; its score is the largest of these, because one head at one token finds a fact.
 *
 * <p>One thread.
 *
 * <p>Source: the bound: Tang et al., "Quest: Query-Aware Sparsity for Efficient Long-Context LLM
 * Inference", 2024, section 3.3 (algorithm 1).
 */
public final class PageBounds {
  /** Pages whose bounds stand side by side, so that a processor works on many of them at once. */
  private static final int LANES = 64;

  /** Most bytes of judgements that are held at a time, unless there are very many pages. */
  private static final int ROW_BYTES = 4 << 20;

  private final int[] widths;
  private final int headSize;
  private final Storage storage;
  private final int partElements;
  private final int blockElements;

  /** Of each block in the storage the number of its first part; it has one for each key head. */
  private final List<Integer> stored = new ArrayList<>();

  /** The blocks behind those. */
  private final List<short[]> open = new ArrayList<>();

  private int pages;

  /** Scratch, kept because big garbage would make the heap grow. */
  private float[] page = new float[0];

  private float[][] rows = new float[0][];
  private final float[] unpacked;
  private final short[] packed;
  private final float[] sums = new float[LANES];

  /** Where full blocks of bounds are kept. */
  public interface Storage {
    /**
     * Adds records behind all others: all of them or, when it fails, none.
     *
     * @return the number of the first
     */
    int add(List<MemorySegment> records);

    /** Copies a record; {@code target} has its size. */
    void read(int number, MemorySegment target);
  }

  /**
   * Makes an empty list.
   *
   * @param widths elements of all key heads of each layer together
   * @param headSize elements of one head
   */
  public PageBounds(int[] widths, int headSize, Storage storage) {
    if (headSize < 1
        || Arrays.stream(widths).anyMatch(width -> width < 1 || width % headSize != 0)) {
      throw new IllegalArgumentException(
          "heads of %d elements do not divide keys of %s"
              .formatted(headSize, Arrays.toString(widths)));
    }
    this.widths = widths.clone();
    this.headSize = headSize;
    this.storage = storage;
    this.partElements = 2 * LANES * headSize;
    this.unpacked = new float[partElements];
    this.packed = new short[partElements];
    this.blockElements = 2 * LANES * Arrays.stream(widths).sum();
  }

  /** Returns how many pages were added. */
  public int pages() {
    return pages;
  }

  /** Returns the bytes of all bounds. */
  public long bytes() {
    return 2L * blockElements * (stored.size() + open.size());
  }

  /**
   * Adds a page. It stays on the heap until {@link #settle()}.
   *
   * @param keys float32, the keys of each layer, {@code [cell][width]}
   * @param from first cell of the page
   * @param to end of its cells
   */
  public void add(MemorySegment[] keys, int from, int to) {
    if (from < 0 || to <= from) {
      throw new IllegalArgumentException(
          "a page needs a cell, but has %d to %d".formatted(from, to));
    }
    int lane = pages % LANES;
    if (lane == 0) {
      open.add(new short[blockElements]);
    }
    short[] block = open.getLast();
    int at = 0;
    for (int layer = 0; layer < widths.length; layer++) {
      int width = widths[layer];
      int count = (to - from) * width;
      page = page.length < count ? new float[count] : page;
      MemorySegment.copy(keys[layer], ValueLayout.JAVA_FLOAT, 4L * from * width, page, 0, count);
      for (int e = 0; e < width; e++) {
        float low = Float.POSITIVE_INFINITY;
        float high = Float.NEGATIVE_INFINITY;
        for (int i = e; i < count; i += width) {
          low = Math.min(low, page[i]);
          high = Math.max(high, page[i]);
        }
        block[at + lane] = Float.floatToFloat16(low);
        block[at + LANES + lane] = Float.floatToFloat16(high);
        at += 2 * LANES;
      }
    }
    pages++;
  }

  /** Puts full blocks into the storage. When that fails they stay, for the next time. */
  public void settle() {
    while (stored.size() < pages / LANES) {
      MemorySegment block = MemorySegment.ofArray(open.getFirst());
      List<MemorySegment> parts = new ArrayList<>();
      for (long at = 0; at < block.byteSize(); at += 2L * partElements) {
        parts.add(block.asSlice(at, 2L * partElements));
      }
      stored.add(storage.add(parts));
      open.removeFirst();
    }
  }

  /**
   * Judges every page.
   *
   * @param queries {@code [layer][token][query head][element]}, rotated to where they stand to the
   *     keys
   * @param tokens number of tokens
   * @param queryHeads query heads of each layer
   * @return the score of each page: by how many standard deviations its bound is above the mean of
   *     all pages, for the query that it suits best
   */
  public float[] scores(float[] queries, int tokens, int queryHeads) {
    if (queries.length != widths.length * tokens * queryHeads * headSize) {
      throw new IllegalArgumentException(
          "%d elements are not %d layers of %d tokens with %d heads of %d"
              .formatted(queries.length, widths.length, tokens, queryHeads, headSize));
    }
    float[] best = new float[pages];
    Arrays.fill(best, Float.NEGATIVE_INFINITY);
    int blocks = stored.size() + open.size();
    makeRows(tokens * queryHeads, blocks * LANES);
    int part = 0;
    for (int layer = 0; layer < widths.length; layer++) {
      int keyHeads = widths[layer] / headSize;
      int group = Math.max(1, queryHeads / keyHeads);
      for (int keyHead = 0; keyHead < keyHeads; keyHead++, part++) {
        int heads = Math.min(group, queryHeads - keyHead * group);
        for (int first = 0; first < tokens * heads; first += rows.length) {
          int count = Math.min(rows.length, tokens * heads - first);
          for (int block = 0; block < blocks; block++) {
            unpack(block, part);
            for (int i = 0; i < count; i++) {
              int head = keyHead * group + (first + i) % heads;
              int token = (first + i) / heads;
              int at = ((layer * tokens + token) * queryHeads + head) * headSize;
              bound(queries, at, rows[i], block * LANES);
            }
          }
          for (int i = 0; i < count; i++) {
            takeDeviations(rows[i], best);
          }
        }
      }
    }
    return best;
  }

  /** Makes room for the judgements of some of the queries at a time. */
  private void makeRows(int queries, int lanes) {
    int count = Math.clamp(ROW_BYTES / (4L * lanes + 1), 1, Math.max(1, queries));
    if (rows.length < count || rows[0].length < lanes) {
      rows = new float[count][lanes + lanes / 4];
    }
  }

  /** Unpacks the bounds of a block for one key head. */
  private void unpack(int block, int part) {
    short[] from = packed;
    int at = 0;
    if (block < stored.size()) {
      storage.read(stored.get(block) + part, MemorySegment.ofArray(packed));
    } else {
      from = open.get(block - stored.size());
      at = part * partElements;
    }
    float[] to = unpacked; // not read from the object each time by a simple compiler
    for (int i = 0; i < to.length; i++) {
      to[i] = Float.float16ToFloat(from[at + i]);
    }
  }

  /** The largest product with a key between the bounds, for the pages of a block. */
  private void bound(float[] queries, int at, float[] row, int from) {
    float[] products = sums;
    float[] values = unpacked;
    Arrays.fill(products, 0);
    for (int e = 0; e < headSize; e++) {
      float q = queries[at + e];
      int side = 2 * LANES * e + (q < 0 ? 0 : LANES);
      for (int lane = 0; lane < products.length; lane++) {
        products[lane] += q * values[side + lane];
      }
    }
    System.arraycopy(products, 0, row, from, LANES);
  }

  private void takeDeviations(float[] row, float[] best) {
    double sum = 0;
    double squares = 0;
    for (int page = 0; page < pages; page++) {
      sum += row[page];
      squares += (double) row[page] * row[page];
    }
    double mean = sum / pages;
    double deviation = Math.sqrt(Math.max(0, squares / pages - mean * mean));
    if (deviation <= 1e-6 * Math.abs(mean)) {
      return; // a head that does not tell the pages apart, as one that a layer does not have
    }
    for (int page = 0; page < pages; page++) {
      best[page] = Math.max(best[page], (float) ((row[page] - mean) / deviation));
    }
  }
}
