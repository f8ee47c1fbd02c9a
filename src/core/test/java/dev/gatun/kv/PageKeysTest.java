package dev.gatun.kv;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** What pages are found by. */
class PageKeysTest {
  private static final int HEAD = 8;
  private static final int[] WIDTHS = {2 * HEAD, HEAD};
  private static final int CELLS = 5;

  private final Kept storage = new Kept();

  /** Keeps copies; fails when it is told to. */
  private static final class Kept implements PageBounds.Storage {
    private final List<MemorySegment> records = new ArrayList<>();
    private boolean broken;

    @Override
    public int add(List<MemorySegment> added) {
      if (broken) {
        throw new IllegalStateException("no room");
      }
      int first = records.size();
      for (MemorySegment record : added) {
        records.add(MemorySegment.ofArray(record.toArray(ValueLayout.JAVA_BYTE)));
      }
      return first;
    }

    @Override
    public void read(int number, MemorySegment target) {
      target.copyFrom(records.get(number));
    }
  }

  private static int best(float[] scores) {
    int best = 0;
    for (int i = 1; i < scores.length; i++) {
      best = scores[i] > scores[best] ? i : best;
    }
    return best;
  }

  private static float[] gaussian(SplittableRandom random, int count, double scale) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (scale * random.nextGaussian());
    }
    return values;
  }

  /** Keys of all layers. */
  private static float[][] gaussian(SplittableRandom random, int cells) {
    float[][] keys = new float[WIDTHS.length][];
    Arrays.setAll(keys, layer -> gaussian(random, WIDTHS[layer] * cells, 1));
    return keys;
  }

  private static MemorySegment[] segments(float[]... keys) {
    return Arrays.stream(keys).map(MemorySegment::ofArray).toArray(MemorySegment[]::new);
  }

  @Test
  void bounds_findThePageWhoseOneKeyFitsOneQuery_whereverItIs() {
    for (int page : new int[] {0, 63, 64, 130}) {
      SplittableRandom random = new SplittableRandom(page);
      int tokens = 3;
      int queryHeads = 2;
      float[] queries = gaussian(random, WIDTHS.length * tokens * queryHeads * HEAD, 1);
      PageBounds bounds = new PageBounds(WIDTHS, HEAD, storage);
      for (int i = 0; i < 131; i++) {
        float[][] keys = gaussian(random, CELLS + 2);
        if (i == page) {
          // layer 0, token 1, query head 1, which looks at key head 1: a key four times the query
          int query = (1 * queryHeads + 1) * HEAD;
          for (int e = 0; e < HEAD; e++) {
            keys[0][3 * WIDTHS[0] + HEAD + e] = 4 * queries[query + e];
          }
        }
        bounds.add(segments(keys), 1, 1 + CELLS);
      }
      float[] open = bounds.scores(queries, tokens, queryHeads);
      bounds.settle();
      assertArrayEquals(open, bounds.scores(queries, tokens, queryHeads));
      assertEquals(131, bounds.pages());
      assertEquals(page, best(bounds.scores(queries, tokens, queryHeads)));
    }
  }

  @Test
  void bounds_doNotLookOutsideOfThePage() {
    PageBounds bounds = new PageBounds(new int[] {HEAD}, HEAD, storage);
    float[] keys = new float[3 * HEAD];
    Arrays.fill(keys, 0, HEAD, 100);
    Arrays.fill(keys, 2 * HEAD, 3 * HEAD, 100);
    keys[HEAD] = 1;
    bounds.add(segments(keys), 1, 2);
    keys[HEAD] = 2;
    bounds.add(segments(keys), 1, 2);
    float[] query = new float[HEAD];
    query[0] = 1;

    float[] scores = bounds.scores(query, 1, 1);

    assertArrayEquals(new float[] {-1, 1}, scores, 1e-3f); // 1 and 2: mean 1.5, deviation 0.5
  }

  @Test
  void bounds_thatCannotBeStored_stay() {
    SplittableRandom random = new SplittableRandom(5);
    PageBounds bounds = new PageBounds(WIDTHS, HEAD, storage);
    for (int i = 0; i < 200; i++) {
      bounds.add(segments(gaussian(random, 1)), 0, 1);
    }
    float[] queries = gaussian(random, WIDTHS.length * 2 * HEAD, 1);
    float[] before = bounds.scores(queries, 1, 2);
    long bytes = bounds.bytes();
    storage.broken = true;
    assertThrows(IllegalStateException.class, bounds::settle);
    assertArrayEquals(before, bounds.scores(queries, 1, 2));
    storage.broken = false;
    bounds.settle();

    assertArrayEquals(before, bounds.scores(queries, 1, 2));
    assertEquals(3 * 3, storage.records.size()); // three full blocks, three key heads
    assertEquals(bytes, bounds.bytes());
  }

  @Test
  void bounds_refuseWhatDoesNotFit() {
    assertThrows(
        IllegalArgumentException.class, () -> new PageBounds(new int[] {12}, HEAD, storage));
    PageBounds bounds = new PageBounds(WIDTHS, HEAD, storage);
    assertThrows(IllegalArgumentException.class, () -> bounds.add(segments(), 2, 2));
    assertThrows(IllegalArgumentException.class, () -> bounds.scores(new float[7], 1, 1));
  }

  @Test
  void words_weighRareTokensAndPairs() {
    int[][] pages = {{1, 2, 3, 9}, {1, 3, 2, 9}, {1, 9, 2, 2}, {7, 9}};

    float[] scores = PageWords.scores(new int[] {2, 3}, 4, page -> pages[page]);

    // token 2 on three pages of four, token 3 on two, the pair on one
    double two = Math.pow(Math.log(4 / 3.0), 2);
    double three = Math.pow(Math.log(4 / 2.0), 2);
    double pair = Math.pow(Math.log(4 / 1.0), 2);
    assertArrayEquals(
        new float[] {(float) (two + three + pair), (float) (two + three), (float) two, 0},
        scores,
        1e-5f);
    int[] common = {9, 100};
    assertArrayEquals(new float[4], PageWords.scores(common, 4, page -> pages[page]));
    assertArrayEquals(new float[0], PageWords.scores(common, 0, page -> pages[page]));
  }
}
