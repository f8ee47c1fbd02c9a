package dev.gatun;

import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.internal.NativeAttention;
import dev.gatun.internal.NativeContext;
import dev.gatun.kv.EvictionNeeds;
import dev.gatun.kv.EvictionView;
import dev.gatun.kv.ObservedAttention;
import dev.gatun.kv.ObservedQueries;
import dev.gatun.kv.QueryTurn;
import dev.gatun.rope.RopeBasis;
import dev.gatun.rope.RopeFacts;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.Rotation;
import dev.gatun.rope.StaticScaling;
import dev.gatun.rope.TwoBand;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalDouble;

/** What a policy sees of a session. Inside the context's guard. */
final class HeldView implements EvictionView {
  private final LlamaContext owner;
  private final NativeContext context;
  private final SessionCells cells;
  private final EvictionNeeds needs;
  private final int size;
  private Optional<ObservedAttention> attention = Optional.empty();
  private Optional<ObservedAttention> before = Optional.empty();
  private Optional<ObservedQueries> queries = Optional.empty();
  private Optional<int[]> layers = Optional.empty();

  HeldView(LlamaContext owner, NativeContext context, SessionCells cells, EvictionNeeds needs) {
    this.owner = owner;
    this.context = context;
    this.cells = cells;
    this.needs = needs;
    this.size = cells.held().size();
  }

  /** Takes what was observed. */
  void observed() {
    attention = Optional.of(read());
    if (needs.queryTokens() > 0) {
      NativeAttention.Queries kept = NativeAttention.queries(context);
      queries =
          Optional.of(
              new ObservedQueries(
                  kept.positions().length, kept.heads(), kept.headSize(), kept.values()));
    }
  }

  /**
   * Takes what was observed before the window.
   *
   * @param decoded tokens that are in the cache now; the others got nothing
   */
  void observedBefore(int decoded) {
    before = Optional.of(read());
    requireCells(decoded, before.get().sums().length);
  }

  private ObservedAttention read() {
    NativeAttention.Scores all = NativeAttention.scores(context, cells.sequence());
    float[][][] sums = new float[0][][];
    float[][][] maxima = new float[0][][];
    if (needs.heads()) {
      NativeAttention.HeadScores heads = NativeAttention.headScores(context, cells.sequence());
      sums = padded(heads.sums());
      maxima = padded(heads.maxima());
    }
    return new ObservedAttention(
        all.queries(), padded(all.sums()), padded(all.maxima()), padded(all.last()), sums, maxima);
  }

  private float[][][] padded(float[][][] values) {
    for (float[][] layer : values) {
      for (int head = 0; head < layer.length; head++) {
        layer[head] = padded(layer[head]);
      }
    }
    return values;
  }

  /** Brings an array by cells to one by tokens: those that are not read yet got nothing. */
  private float[] padded(float[] values) {
    return values.length == size ? values : Arrays.copyOf(values, size);
  }

  private static void requireCells(int tokens, int cells) {
    if (cells < tokens) {
      throw new IllegalStateException(
          "%,d cells were observed for %,d tokens".formatted(cells, tokens));
    }
  }

  @Override
  public int size() {
    return size;
  }

  @Override
  public int token(int index) {
    return cells.held().id(index);
  }

  @Override
  public int position(int index) {
    return cells.held().position(index);
  }

  @Override
  public String text(int index) {
    return owner.model().tokenizer().decode(new int[] {token(index)});
  }

  @Override
  public ObservedAttention attention() {
    return attention.orElseThrow(() -> notAsked("attention"));
  }

  @Override
  public ObservedAttention attentionBefore() {
    attention();
    return before.orElseGet(() -> ObservedAttention.none(size));
  }

  @Override
  public ObservedQueries queries() {
    return queries.orElseThrow(() -> notAsked("queries"));
  }

  @Override
  public int layers() {
    return layerNumbers().length;
  }

  private int[] layerNumbers() {
    int[] numbers = layers.orElseGet(() -> NativeAttention.layers(context));
    layers = Optional.of(numbers);
    return numbers;
  }

  @Override
  public int keyHeads() {
    return owner.model().metadata().kvHeadCount(layerNumbers()[0]).orElseThrow();
  }

  @Override
  public int headSize() {
    return owner.model().metadata().headSizeK().orElseThrow();
  }

  @Override
  public float[] keys(int layer) {
    if (!needs.keys()) {
      throw notAsked("keys");
    }
    float[] values =
        NativeAttention.keys(context, cells.sequence(), layerNumbers()[layer]).values();
    if (values.length != size * keyHeads() * headSize()) {
      throw new UnsupportedOperationForModelException(
          "the layers of %s differ in their keys; choose a policy that looks at attention"
              .formatted(owner.model().description()));
    }
    return values;
  }

  @Override
  public QueryTurn turn() {
    RopeBasis basis = RopeFacts.of(owner.model().file()).basis();
    RopeScaling scaling = owner.ropeScaling();
    String inFile = owner.model().metadata().rope().scalingType().orElse("none");
    if (scaling instanceof RopeScaling.ModelDefault && !inFile.equals("none")) {
      throw new UnsupportedOperationForModelException(
          "the rotation of %s is scaled by its file (%s), which a policy cannot follow; name the scaling in ContextOptions, or choose another policy"
              .formatted(owner.model().description(), inFile));
    }
    Rotation rotation =
        scaling instanceof StaticScaling fixed ? fixed.rotation(basis) : Rotation.unscaled(basis);
    boolean adjacent = owner.model().nativeModel().turnsNeighbours();
    double factor = rotation.attentionFactor() * rotation.attentionFactor();
    OptionalDouble far = OptionalDouble.empty();
    if (scaling instanceof TwoBand bands) {
      int next = cells.held().next();
      far = OptionalDouble.of(bands.queryPosition(next, 0) - bands.keyPosition(next, 0));
      if (bands.logN()) {
        factor *= TwoBand.logNFactor(next, basis.trainedTokens());
      }
    }
    return new QueryTurn(rotation.inverseFrequencies(), adjacent, factor, far);
  }

  private static IllegalStateException notAsked(String what) {
    return new IllegalStateException(
        "the policy did not ask for %s; say so in needs()".formatted(what));
  }
}
