package dev.gatun.gguf;

import java.util.List;
import java.util.stream.Collectors;

/**
 * One row of a tensor table.
 *
 * <p>Immutable; any thread.
 *
 * @param name the tensor's name
 * @param dimensions sizes, fastest-varying first; 0 to 4 of them, each at least 1
 * @param type the element type
 * @param part index of the file that holds the data, 0 when the model is one file
 * @param fileOffset where the data starts, in bytes from the start of that file
 * @param bytes length of the data
 */
public record GgufTensor(
    String name, List<Long> dimensions, GgmlType type, int part, long fileOffset, long bytes) {

  public GgufTensor {
    dimensions = List.copyOf(dimensions);
  }

  /** Returns the number of elements. */
  public long elements() {
    long product = 1;
    for (long dimension : dimensions) {
      product *= dimension;
    }
    return product;
  }

  /** Returns the size of dimension {@code index}, 0 to 3; 1 beyond the last stated one. */
  public long dimension(int index) {
    return index < dimensions.size() ? dimensions.get(index) : 1;
  }

  /** Returns the shape as text: {@code 896 x 151936}. */
  public String shape() {
    return dimensions.isEmpty()
        ? "1"
        : dimensions.stream().map(String::valueOf).collect(Collectors.joining(" x "));
  }
}
