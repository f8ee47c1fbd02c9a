package dev.gatun.kv;

import dev.gatun.error.StateFormatException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * How {@code llama_state_seq_get_data} lays out the memory of one sequence, as far as native code
 * trusts it without a check of its own.
 *
 * <p>Native code compares types, row sizes and layer counts with its own and reads no byte behind
 * the end, but it reserves memory for as many cells as the bytes claim and takes their positions as
 * they come. So {@link #check} reads the same way and refuses any count and position that the
 * tokens do not explain.
 *
 * <p>Immutable; any thread. Source: {@code llama_kv_cache::state_write}, {@code
 * llama_memory_recurrent::state_write} and the order in which the composed memories call them, in
 * llama.cpp v0.5.0.
 *
 * @param streams pools of cells: 1 when all sequences share one, else one for each sequence
 * @param attention whether layers keep a cell for every token
 * @param slidingWindow whether layers keep the cells of a window only
 * @param recurrent whether layers keep a recurrent state
 * @param hasValues whether attention layers cache values; latent attention (MLA) does not
 * @param extended whether a cell carries two more coordinates and its token (M-RoPE)
 * @param vocabulary number of tokens in the vocabulary
 */
public record CellLayout(
    int streams,
    boolean attention,
    boolean slidingWindow,
    boolean recurrent,
    boolean hasValues,
    boolean extended,
    int vocabulary) {
  private static final int MAGIC = 0xaf143cd8;
  private static final int MAX_LAYERS = 4096;
  private static final long MAX_ROW_BYTES = 1L << 28;
  private static final int MAX_COORDINATE = 1 << 30;

  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /**
   * Tells whether a part of the memory cannot be cut back, so that checkpoints are worth taking.
   */
  public boolean hasPartial() {
    return slidingWindow || recurrent;
  }

  /**
   * Checks the cells of a whole sequence.
   *
   * @param cells what native code is about to read
   * @param positions positions of the tokens that have cells, ascending
   * @throws StateFormatException if they are not those cells
   */
  public void check(MemorySegment cells, int[] positions) {
    check(cells, positions, false);
  }

  /**
   * Checks a checkpoint: the same without the cells that can be cut back.
   *
   * @param cells what native code is about to read
   * @param positions positions of the tokens that had been read, ascending
   * @throws StateFormatException if they are not those cells
   */
  public void checkPartial(MemorySegment cells, int[] positions) {
    check(cells, positions, true);
  }

  private void check(MemorySegment cells, int[] positions, boolean partial) {
    Walk walk = new Walk(cells, positions);
    walk.begin();
    if (attention && !partial) {
      walk.cache(true);
    }
    if (slidingWindow) {
      walk.cache(false);
    }
    if (recurrent) {
      walk.recurrentState();
    } else {
      walk.end();
    }
  }

  private final class Walk {
    private final MemorySegment bytes;
    private final int[] positions;
    private long at;

    Walk(MemorySegment bytes, int[] positions) {
      this.bytes = bytes;
      this.positions = positions;
    }

    void begin() {
      require(nextInt() == MAGIC, "do not begin as cells do");
      nextInt(); // the sequence they were saved from; not used
    }

    /** Walks over the cells of one attention cache; every token has one, or those of a window. */
    void cache(boolean complete) {
      int count = nextInt();
      require(count == streams, "have %d pools of cells, not %d", count, streams);
      boolean found = false;
      for (int stream = 0; stream < streams; stream++) {
        int held = nextInt();
        if (held != 0) {
          require(!found, "stand in two pools");
          found = true;
          cells(held, complete);
          layers(held);
        }
      }
      require(found, "are missing");
    }

    private void cells(int count, boolean complete) {
      int most = positions.length;
      require(
          complete ? count == most : count > 0 && count <= most,
          "are %d where the tokens have %d",
          count,
          most);
      int[] found = new int[count];
      for (int i = 0; i < count; i++) {
        found[i] = nextInt();
        require(nextInt() == 1, "belong to several sequences");
        if (extended) {
          int x = nextInt();
          int y = nextInt();
          int token = nextInt();
          require(
              x >= 0
                  && x <= MAX_COORDINATE
                  && y >= 0
                  && y <= MAX_COORDINATE
                  && token >= -1
                  && token < vocabulary,
              "have impossible coordinates");
        }
        nextInt(); // the sequence
      }
      Arrays.sort(found);
      if (complete) {
        require(Arrays.equals(found, positions), "have other positions than the tokens");
        return;
      }
      require(
          found[count - 1] == positions[most - 1], "do not end at the position of the last token");
      for (int i = 0, p = 0; i < count; i++, p++) {
        while (p < most && positions[p] < found[i]) {
          p++;
        }
        require(p < most && positions[p] == found[i], "have other positions than the tokens");
      }
    }

    private void layers(int count) {
      int transposed = nextInt();
      int layers = nextInt();
      require(transposed == 0 || transposed == 1, "are of an unknown arrangement");
      require(layers >= 0 && layers <= MAX_LAYERS, "have %d layers", layers);
      for (int layer = 0; layer < layers; layer++) {
        nextInt(); // type; native code compares it and the row's size
        skip(count, nextLong());
      }
      for (int layer = 0; hasValues && layer < layers; layer++) {
        nextInt();
        if (transposed == 0) {
          skip(count, nextLong());
        } else {
          long element = nextInt();
          skip(Math.multiplyExact((long) count, element), nextInt());
        }
      }
    }

    /** Walks over what stands before the numbers of a recurrent state, which come last. */
    void recurrentState() {
      int count = nextInt();
      require(count == 1, "have %d recurrent states, not one", count);
      int position = nextInt();
      require(
          position == positions[positions.length - 1],
          "have a recurrent state of position %d",
          position);
      require(nextInt() == 0, "have a recurrent state of several sequences");
      nextInt(); // arrangement; native code compares it and what follows
      nextInt(); // layers
    }

    void end() {
      require(at == bytes.byteSize(), "are followed by %d bytes too many", bytes.byteSize() - at);
    }

    private void skip(long rows, long rowBytes) {
      require(
          rowBytes > 0 && rowBytes <= MAX_ROW_BYTES && rows > 0 && rows <= bytes.byteSize(),
          "have impossible rows");
      require(rows <= (bytes.byteSize() - at) / rowBytes, "end too early");
      at += rows * rowBytes;
    }

    private int nextInt() {
      require(bytes.byteSize() - at >= Integer.BYTES, "end too early");
      int value = bytes.get(INT, at);
      at += Integer.BYTES;
      return value;
    }

    private long nextLong() {
      require(bytes.byteSize() - at >= Long.BYTES, "end too early");
      long value = bytes.get(LONG, at);
      at += Long.BYTES;
      return value;
    }

    private void require(boolean good, String what, Object... numbers) {
      if (!good) {
        throw new StateFormatException(
            "the cells of the state " + what.formatted(numbers) + "; read the text again and save");
      }
    }
  }
}
