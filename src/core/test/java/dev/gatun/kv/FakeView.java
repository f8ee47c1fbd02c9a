package dev.gatun.kv;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;

/** A view made by hand: one layer, one key head. */
final class FakeView implements EvictionView {
  private final List<String> texts;
  private final int[] positions;
  private ObservedAttention attention;
  private ObservedAttention before;
  private float[] keys = new float[0];
  private ObservedQueries queries = new ObservedQueries(0, 1, 1, new float[0]);
  private QueryTurn turn = new QueryTurn(new double[0], true, 1, OptionalDouble.empty());
  private int headSize = 1;

  private FakeView(List<String> texts) {
    this.texts = texts;
    this.positions = new int[texts.size()];
    Arrays.setAll(positions, i -> i);
    this.attention = ObservedAttention.none(texts.size());
    this.before = attention;
  }

  static FakeView of(int size) {
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < size; i++) {
      texts.add(" word");
    }
    return new FakeView(texts);
  }

  static FakeView of(String... texts) {
    return new FakeView(List.of(texts));
  }

  FakeView withPositions(int... values) {
    System.arraycopy(values, 0, positions, 0, positions.length);
    return this;
  }

  /** One row for each head. */
  FakeView withHeads(float[][] now, float[][] earlier) {
    attention = observed(now);
    before = observed(earlier);
    return this;
  }

  private static ObservedAttention observed(float[][] heads) {
    int n = heads[0].length;
    float[] sums = new float[n];
    float[] maxima = new float[n];
    for (float[] head : heads) {
      for (int i = 0; i < n; i++) {
        sums[i] += head[i];
        maxima[i] = Math.max(maxima[i], head[i]);
      }
    }
    return new ObservedAttention(
        1, sums, maxima, sums, new float[][][] {heads}, new float[][][] {heads});
  }

  FakeView withKeys(int size, float... values) {
    headSize = size;
    keys = values;
    return this;
  }

  FakeView withQueries(ObservedQueries value, QueryTurn how) {
    queries = value;
    turn = how;
    return this;
  }

  @Override
  public int size() {
    return texts.size();
  }

  @Override
  public int token(int index) {
    return index;
  }

  @Override
  public int position(int index) {
    return positions[index];
  }

  @Override
  public String text(int index) {
    return texts.get(index);
  }

  @Override
  public ObservedAttention attention() {
    return attention;
  }

  @Override
  public ObservedAttention attentionBefore() {
    return before;
  }

  @Override
  public int layers() {
    return 1;
  }

  @Override
  public int keyHeads() {
    return 1;
  }

  @Override
  public int headSize() {
    return headSize;
  }

  @Override
  public float[] keys(int layer) {
    return keys;
  }

  @Override
  public ObservedQueries queries() {
    return queries;
  }

  @Override
  public QueryTurn turn() {
    return turn;
  }
}
