package dev.gatun.kv;

import java.util.List;

/**
 * Which keys a query meets. Everything but {@link Full} leaves keys out of layers that attend to
 * the whole text; the KV cache keeps all of them.
 *
 * <p>{@link Pages} looks at the query and takes the keys that matter to it, for single tokens; it
 * makes decoding at great lengths about as fast as at small ones. The others are static patterns of
 * positions, for reading and writing: models that were not trained with a pattern read worse under
 * it, often much worse. They are here to measure, and for models that were trained so.
 *
 * <p>It works on the CPU, with flash attention, for models that have layers with cells of the whole
 * text.
 */
public sealed interface SparseAttention {
  /**
   * Tells whether the pattern hides a key from a query; for {@link Full} and {@link Pages}, which
   * know no positions, never.
   *
   * @param query position of the query
   * @param key position of the key, 0 to {@code query}
   */
  boolean hides(int query, int key);

  /** Returns the pattern and its numbers in a few plain words. */
  String describe();

  /** Tells whether every visible key is met. */
  default boolean isFull() {
    return this instanceof Full;
  }

  /** Tells whether it is a pattern of positions, which a model must have been trained with. */
  default boolean isStatic() {
    return !(this instanceof Full || this instanceof Pages);
  }

  /** Returns full attention. */
  static SparseAttention full() {
    return new Full();
  }

  /** Returns pages with a budget of 1,024 tokens. */
  static Pages pages() {
    return pages(1024);
  }

  /** Returns pages with a budget. */
  static Pages pages(int budgetTokens) {
    return new Pages(budgetTokens, 64, 4, 8, Ranking.EXPECTED_WEIGHT);
  }

  /** Every query meets every key before it. */
  record Full() implements SparseAttention {
    @Override
    public boolean hides(int query, int key) {
      return false;
    }

    @Override
    public String describe() {
      return "full attention";
    }
  }

  /** How pages are ranked for a query. */
  enum Ranking {
    /**
     * By the expected weight of a key, were the elements of a page's keys normally distributed:
     * {@code q·mean + Σ q²·variance / 2}. Finds more of the attention than the bound does.
     */
    EXPECTED_WEIGHT,
    /** By the greatest score that a key between the least and greatest elements could have. */
    BOUND
  }

  /**
   * For each decoded token, the cells that weigh most. Pages of 16 cells are ranked by summaries of
   * their keys; of the best, half as many again as the budget holds, every key is looked at, and
   * the best cells are met. Query heads that share a key head choose together, by the sum of their
   * shares.
   *
   * <p>Always met beside the budget are the newest tokens, the first ones, and under two-band
   * scaling everything in the near window.
   *
   * <p>Source: Quest (Tang et al. 2024), section 3.2, whose bound is {@link Ranking#BOUND}.
   *
   * @param budgetTokens tokens to choose, at least 16
   * @param recentTokens newest tokens that are always met
   * @param sinkTokens first positions that are always met
   * @param mostTokens tokens of one sequence computed at once, up to which pages are chosen; a
   *     longer micro batch, as in reading, meets all keys
   * @param ranking how pages are ranked
   */
  record Pages(int budgetTokens, int recentTokens, int sinkTokens, int mostTokens, Ranking ranking)
      implements SparseAttention {
    /** Checks the numbers. */
    public Pages {
      require("budgetTokens", budgetTokens, 16);
      require("recentTokens", recentTokens, 0);
      require("sinkTokens", sinkTokens, 0);
      require("mostTokens", mostTokens, 1);
    }

    /** Returns a copy with another {@link #ranking()}. */
    public Pages withRanking(Ranking value) {
      return new Pages(budgetTokens, recentTokens, sinkTokens, mostTokens, value);
    }

    @Override
    public boolean hides(int query, int key) {
      return false;
    }

    @Override
    public String describe() {
      return "pages with a budget of %,d tokens".formatted(budgetTokens);
    }
  }

  /**
   * The newest keys and the first ones.
   *
   * <p>Sources: StreamingLLM (Xiao et al. 2023); the mask of LM-Infinite (Han et al. 2023).
   *
   * @param window newest keys, the query's own among them
   * @param sinks first positions; 0 is a plain sliding window
   */
  record LocalWindow(int window, int sinks) implements SparseAttention {
    /** Checks the numbers. */
    public LocalWindow {
      require("window", window, 1);
      require("sinks", sinks, 0);
    }

    @Override
    public boolean hides(int query, int key) {
      return query - key >= window && key >= sinks;
    }

    @Override
    public String describe() {
      return "a window of %,d tokens and the first %,d".formatted(window, sinks);
    }
  }

  /**
   * Every {@code dilation}-th key back from the query.
   *
   * <p>Source: Longformer (Beltagy et al. 2020), section 3.1.
   *
   * @param window keys, the query's own among them
   * @param dilation distance between them
   */
  record Dilated(int window, int dilation) implements SparseAttention {
    /** Checks the numbers. */
    public Dilated {
      require("window", window, 1);
      require("dilation", dilation, 1);
      require("window times dilation", (long) window * dilation, 1);
    }

    @Override
    public boolean hides(int query, int key) {
      int distance = query - key;
      return distance >= window * dilation || distance % dilation != 0;
    }

    @Override
    public String describe() {
      return "every %,d. key, %,d of them".formatted(dilation, window);
    }
  }

  /**
   * The keys in the query's own block.
   *
   * <p>Source: blockwise attention (Qiu et al. 2019), its diagonal blocks.
   *
   * @param block positions in a block
   */
  record Blocks(int block) implements SparseAttention {
    /** Checks the numbers. */
    public Blocks {
      require("block", block, 1);
    }

    @Override
    public boolean hides(int query, int key) {
      return query / block != key / block;
    }

    @Override
    public String describe() {
      return "blocks of %,d tokens".formatted(block);
    }
  }

  /**
   * The newest keys, and before them every {@code stride}-th.
   *
   * <p>Source: Sparse Transformer (Child et al. 2019), section 4.2, both strided heads merged.
   *
   * @param stride newest keys, and the distance between the others
   */
  record Strided(int stride) implements SparseAttention {
    /** Checks the numbers. */
    public Strided {
      require("stride", stride, 1);
    }

    @Override
    public boolean hides(int query, int key) {
      int distance = query - key;
      return distance >= stride && distance % stride != 0;
    }

    @Override
    public String describe() {
      return "the newest %,d keys and every %,d. before".formatted(stride, stride);
    }
  }

  /**
   * A window, which may be dilated, and global tokens: all meet them, and they meet all.
   *
   * <p>Source: Longformer (Beltagy et al. 2020), section 3.1.
   *
   * @param window keys in the window
   * @param dilation distance between them; 1 is a plain window
   * @param globals positions of the global tokens, ascending
   */
  record Longformer(int window, int dilation, List<Integer> globals) implements SparseAttention {
    /** Checks the numbers. */
    public Longformer {
      require("window", window, 1);
      require("dilation", dilation, 1);
      require("window times dilation", (long) window * dilation, 1);
      globals = List.copyOf(globals);
      for (int i = 0; i < globals.size(); i++) {
        if (globals.get(i) < (i == 0 ? 0 : globals.get(i - 1) + 1)) {
          throw new IllegalArgumentException("globals must be positions in ascending order");
        }
      }
    }

    @Override
    public boolean hides(int query, int key) {
      int distance = query - key;
      return (distance >= window * dilation || distance % dilation != 0)
          && !globals.contains(key)
          && !globals.contains(query);
    }

    @Override
    public String describe() {
      return "a window of %,d tokens and %,d global ones".formatted(window, globals.size());
    }
  }

  /**
   * In blocks: the newest, the first, and some that are drawn.
   *
   * <p>Source: BigBird (Zaheer et al. 2020), section 2, without a look ahead.
   *
   * @param block positions in a block
   * @param window newest blocks, the query's own among them
   * @param globals first blocks
   * @param random blocks drawn from all before the query's, some of which may be the same
   * @param seed of the draw, which depends on nothing else but the query's block
   */
  record BigBird(int block, int window, int globals, int random, long seed)
      implements SparseAttention {
    private static final int MOST_RANDOM = 1024;

    /** Checks the numbers. */
    public BigBird {
      require("block", block, 1);
      require("window", window, 1);
      require("globals", globals, 0);
      require("random", random, 0);
      if (random > MOST_RANDOM) {
        throw new IllegalArgumentException("random must be at most 1,024, but is " + random);
      }
    }

    @Override
    public boolean hides(int query, int key) {
      int q = query / block;
      int k = key / block;
      return q - k >= window && k >= globals && !draws(q, k);
    }

    private boolean draws(int query, int key) {
      for (int i = 0; i < random; i++) {
        // splitmix64 (Steele et al. 2014); the native side computes the same.
        long z = seed + ((long) query * MOST_RANDOM + i + 1) * 0x9E3779B97F4A7C15L;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        z = z ^ (z >>> 31);
        if (query > 0 && Long.remainderUnsigned(z, query) == key) {
          return true;
        }
      }
      return false;
    }

    @Override
    public String describe() {
      return "blocks of %,d: the newest %,d, the first %,d, %,d drawn"
          .formatted(block, window, globals, random);
    }
  }

  private static void require(String name, long value, int least) {
    if (value < least || value > 1 << 24) {
      throw new IllegalArgumentException(
          "%s must be from %,d to %,d, but is %,d".formatted(name, least, 1 << 24, value));
    }
  }
}
