package dev.gatun.internal;

import dev.gatun.bindings.Segments;
import dev.gatun.bindings.generated.llama_token_data;
import dev.gatun.bindings.generated.llama_token_data_array;
import dev.gatun.sampling.Candidates;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/** The candidates of one upcall, in place. Reused by every token of a generation. */
final class NativeCandidates implements Candidates {
  private static final long STRIDE = llama_token_data.BYTES;

  private MemorySegment array = MemorySegment.NULL;
  private MemorySegment data = MemorySegment.NULL;
  private int size;
  private @Nullable Thread owner;

  /**
   * Opens the view.
   *
   * @param candidates a {@code llama_token_data_array}
   */
  void begin(MemorySegment candidates) {
    array = candidates;
    size = Math.toIntExact(llama_token_data_array.size(candidates));
    data = Segments.sized(llama_token_data_array.data(candidates), STRIDE * size);
    owner = Thread.currentThread();
  }

  /** Closes the view: the memory belongs to the native side again. */
  void end() {
    owner = null;
    size = 0;
    array = MemorySegment.NULL;
    data = MemorySegment.NULL;
  }

  private void check() {
    if (owner != Thread.currentThread()) {
      throw new IllegalStateException(
          "candidates may be used only inside the call they were given to, on its thread; copy what"
              + " you need");
    }
  }

  private long offset(int index) {
    check();
    return STRIDE * Objects.checkIndex(index, size);
  }

  @Override
  public int size() {
    check();
    return size;
  }

  @Override
  public boolean isSorted() {
    check();
    return llama_token_data_array.sorted(array);
  }

  @Override
  public int token(int index) {
    return data.get(ValueLayout.JAVA_INT, offset(index) + llama_token_data.id$offset);
  }

  @Override
  public float logit(int index) {
    return data.get(ValueLayout.JAVA_FLOAT, offset(index) + llama_token_data.logit$offset);
  }

  @Override
  public void setLogit(int index, float logit) {
    if (!(logit < Float.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          "a logit must be a number or negative infinity, but is " + logit);
    }
    data.set(ValueLayout.JAVA_FLOAT, offset(index) + llama_token_data.logit$offset, logit);
    llama_token_data_array.sorted(array, false);
  }

  @Override
  public float probability(int index) {
    return data.get(ValueLayout.JAVA_FLOAT, offset(index) + llama_token_data.p$offset);
  }

  @Override
  public void softmax() {
    check();
    float largest = Float.NEGATIVE_INFINITY;
    for (int i = 0; i < size; i++) {
      largest = Math.max(largest, logit(i));
    }
    if (largest == Float.NEGATIVE_INFINITY) {
      throw new IllegalStateException(
          "every candidate was dropped, so there are no probabilities; keep at least one");
    }
    double sum = 0;
    for (int i = 0; i < size; i++) {
      sum += Math.exp((double) logit(i) - largest);
    }
    for (int i = 0; i < size; i++) {
      float p = (float) (Math.exp((double) logit(i) - largest) / sum);
      data.set(ValueLayout.JAVA_FLOAT, offset(i) + llama_token_data.p$offset, p);
    }
  }

  @Override
  public void swap(int first, int second) {
    long a = offset(first);
    long b = offset(second);
    for (long field = 0; field < STRIDE; field += 4) {
      int kept = data.get(ValueLayout.JAVA_INT, a + field);
      data.set(ValueLayout.JAVA_INT, a + field, data.get(ValueLayout.JAVA_INT, b + field));
      data.set(ValueLayout.JAVA_INT, b + field, kept);
    }
    llama_token_data_array.sorted(array, false);
  }

  @Override
  public void retain(int count) {
    check();
    if (count < 1 || count > size) {
      throw new IllegalArgumentException(
          "the number of candidates to keep must be from 1 to " + size + ", but is " + count);
    }
    size = count;
    llama_token_data_array.size(array, count);
    if (llama_token_data_array.selected(array) >= count) {
      llama_token_data_array.selected(array, -1);
    }
  }

  @Override
  public OptionalInt selected() {
    check();
    long index = llama_token_data_array.selected(array);
    return index >= 0 && index < size ? OptionalInt.of((int) index) : OptionalInt.empty();
  }

  @Override
  public void select(int index) {
    check();
    llama_token_data_array.selected(array, Objects.checkIndex(index, size));
  }
}
