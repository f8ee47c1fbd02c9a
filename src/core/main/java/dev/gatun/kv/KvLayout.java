package dev.gatun.kv;

import dev.gatun.gguf.ModelMetadata;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What a model keeps of a text, layer by layer, as its metadata says: which layers have cells and
 * how wide they are, which have a recurrent state. With a context's settings it gives the bytes.
 * Immutable.
 *
 * <pre>{@code
 * KvLayout.of(file.model()).ifPresent(
 *     layout -> print(layout.plan(options.kvSettings(4096)).totalBytes()));
 * }</pre>
 *
 * @param attention the layers that have cells; in a hybrid model a layer may also be recurrent
 * @param recurrentLayers number of layers with a recurrent state
 * @param rollingElements elements of a layer's convolution or token-shift state ({@code n_embd_r})
 * @param stateElements elements of a layer's recurrent state ({@code n_embd_s})
 * @param widestValue elements of the widest value row of any layer; transposed values are that wide
 * @param windowTokens tokens that sliding-window layers look back
 * @param compressed whether keys and values stand as one compressed row (multi-head latent
 *     attention), so that there are no values apart
 * @param causal whether a token sees only what comes before it
 */
public record KvLayout(
    List<Layer> attention,
    int recurrentLayers,
    long rollingElements,
    long stateElements,
    long widestValue,
    long windowTokens,
    boolean compressed,
    boolean causal) {

  private static final int CELLS = 256; // what llama.cpp rounds contexts and windows up to
  private static final int ALIGNMENT = 32; // ggml's TENSOR_ALIGNMENT
  private static final int STATE_BYTES = 4; // recurrent states are F32 whatever the cells are

  /**
   * A layer with cells.
   *
   * @param sliding whether it looks back over a window only
   * @param heads number of key-value heads; a file may state 0
   * @param keyHead elements of a key head
   * @param valueHead elements of a value head
   */
  public record Layer(boolean sliding, long heads, long keyHead, long valueHead) {
    long keyElements() {
      return KvPlan.times(heads, keyHead);
    }

    long valueElements() {
      return KvPlan.times(heads, valueHead);
    }
  }

  /** Copies the list. */
  public KvLayout {
    attention = List.copyOf(attention);
  }

  /**
   * Reads the layout of a model.
   *
   * @return empty when the architecture keeps something else, or the file does not state a size: a
   *     guess would be worse than no answer
   */
  public static Optional<KvLayout> of(ModelMetadata model) {
    return new KvLayoutReader(model).read();
  }

  /**
   * Tells whether a context with cells of these types can be made: their blocks divide every head,
   * and a compressed row has one type.
   */
  public boolean accepts(KvCacheType keys, KvCacheType values) {
    return (!compressed || keys == values)
        && attention.stream()
            .allMatch(
                layer ->
                    layer.keyHead() % keys.blockElements() == 0
                        && layer.valueHead() % values.blockElements() == 0);
  }

  /**
   * Computes what a context takes.
   *
   * @throws IllegalArgumentException if the types' blocks do not divide the rows; {@link #accepts}
   *     tells
   */
  public KvPlan plan(KvSettings settings) {
    int sequences = settings.maxSequences();
    boolean unified = settings.unified() || sequences == 1;
    int streams = unified ? 1 : sequences;
    long asked = settings.contextTokens();
    long cells = padded(padded(asked, CELLS) / streams, CELLS); // n_ctx_seq
    long batch = causal ? Math.min(asked, settings.batchTokens()) : settings.batchTokens();
    long micro = Math.min(batch, settings.microBatchTokens());
    long windowCells =
        settings.fullSlidingWindow()
            ? cells
            : padded(
                Math.min(
                    cells, KvPlan.plus(KvPlan.times(windowTokens, unified ? sequences : 1), micro)),
                CELLS);
    long window =
        settings.fullSlidingWindow()
            ? cells
            : Math.min(windowCells, KvPlan.plus(windowTokens, micro));

    List<KvPlan.Group> groups = new ArrayList<>();
    group(KvPlan.Kind.FULL_ATTENTION, cells, cells, streams, settings).ifPresent(groups::add);
    group(KvPlan.Kind.SLIDING_WINDOW, windowCells, window, streams, settings)
        .ifPresent(groups::add);
    if (recurrentLayers > 0) {
      groups.add(recurrent(sequences));
    }
    return new KvPlan(settings, cells * streams, cells, groups);
  }

  private Optional<KvPlan.Group> group(
      KvPlan.Kind kind, long cells, long sequenceCells, int streams, KvSettings settings) {
    int layers = 0;
    long bytesPerCell = 0;
    long bytes = 0;
    for (Layer layer : attention) {
      if (layer.sliding() == (kind == KvPlan.Kind.SLIDING_WINDOW)) {
        long keys = settings.keyType().rowBytes(layer.keyElements());
        long values = settings.valueType().rowBytes(valueElements(layer, settings));
        layers++;
        bytesPerCell = KvPlan.plus(bytesPerCell, KvPlan.plus(keys, values));
        bytes = KvPlan.plus(bytes, tensor(keys, cells * streams));
        bytes = KvPlan.plus(bytes, tensor(values, cells * streams));
      }
    }
    return layers == 0
        ? Optional.empty()
        : Optional.of(
            new KvPlan.Group(kind, layers, cells * streams, sequenceCells, bytesPerCell, bytes));
  }

  private long valueElements(Layer layer, KvSettings settings) {
    if (compressed) {
      return 0;
    }
    return settings.transposedValues() ? widestValue : layer.valueElements();
  }

  private KvPlan.Group recurrent(int sequences) {
    long rolling = KvPlan.times(rollingElements, STATE_BYTES);
    long state = KvPlan.times(stateElements, STATE_BYTES);
    long perLayer = KvPlan.plus(tensor(rolling, sequences), tensor(state, sequences));
    return new KvPlan.Group(
        KvPlan.Kind.RECURRENT,
        recurrentLayers,
        sequences,
        1,
        KvPlan.times(KvPlan.plus(rolling, state), recurrentLayers),
        KvPlan.times(perLayer, recurrentLayers));
  }

  private static long tensor(long rowBytes, long rows) {
    long bytes = KvPlan.times(rowBytes, rows);
    return bytes > Long.MAX_VALUE - ALIGNMENT ? Long.MAX_VALUE : padded(bytes, ALIGNMENT);
  }

  private static long padded(long value, int unit) {
    return (value + unit - 1) / unit * unit;
  }
}
