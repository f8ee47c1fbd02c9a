package dev.gatun.gguf;

import dev.gatun.gguf.SyntheticModel.Family;
import dev.gatun.gguf.SyntheticModel.Shape;
import java.util.List;

/** The built-in shapes of {@link SyntheticModel}. */
final class KnownShapes {
  // The columns are the components of Shape; "tied": the token embedding is the output matrix.
  private static final String TABLE =
      """
      qwen2-0.5b-q4_0   QWEN2          24    896     14   2  4864      151936    32768  tied    Q4_0      Q8_0
      llama-0.5b-q4_0   LLAMA          28   1024     16   8  4096       32000     4096  own     Q4_0      Q8_0
      gemma3-0.5b-q4_0  GEMMA3         30   1024     16   8  4096       32000    32768  tied    Q4_0      Q8_0
      mamba-0.5b-q4_0   MAMBA          44   1280      0   0     0       32000    32768  tied    Q4_0      Q8_0
      jamba-0.5b-q4_0   JAMBA          26   1024     16   8  4096       32000    32768  tied    Q4_0      Q8_0
      vocab32k-tiny     LLAMA           1     64      2   1   128       32000     2048  tied    F16       F16
      qwen2-tiny        QWEN2           4    128      4   2   256        2048     2048  tied    F16       F16
      gemma3-tiny       GEMMA3          6    128      4   1   256        2048     2048  tied    F16       F16
      deepseek2-tiny    DEEPSEEK2       3    128      4   1   256        2048     2048  tied    F16       F16
      mamba-tiny        MAMBA           3    128      0   0     0        2048     2048  tied    F16       F16
      mamba2-tiny       MAMBA2          3    128      0   0     0        2048     2048  tied    F16       F16
      jamba-tiny        JAMBA           4    128      4   2   256        2048     2048  tied    F16       F16
      gemma3-small      GEMMA3         12    512      8   2  2048        2048     2048  tied    F16       F16
      mamba-small       MAMBA          12    512      0   0     0        2048     2048  tied    F16       F16
      jamba-small       JAMBA           8    512      8   2  2048        2048     2048  tied    F16       F16
      llama-moe-tiny    LLAMA_MOE       3    128      4   2   128        2048     2048  tied    F16       F16
      """;

  private static final List<Shape> ALL = TABLE.lines().map(KnownShapes::parse).toList();

  private KnownShapes() {}

  static List<Shape> all() {
    return ALL;
  }

  private static Shape parse(String row) {
    String[] column = row.split(" +");
    return new Shape(
        column[0],
        Family.valueOf(column[1]),
        Integer.parseInt(column[2]),
        Integer.parseInt(column[3]),
        Integer.parseInt(column[4]),
        Integer.parseInt(column[5]),
        Integer.parseInt(column[6]),
        Integer.parseInt(column[7]),
        Integer.parseInt(column[8]),
        column[9].equals("tied"),
        GgmlType.valueOf(column[10]),
        GgmlType.valueOf(column[11]));
  }
}
