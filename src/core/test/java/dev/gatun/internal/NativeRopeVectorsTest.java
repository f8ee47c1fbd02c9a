package dev.gatun.internal;

import static dev.gatun.bindings.generated.ggml_backend_h.ggml_backend_free;
import static dev.gatun.bindings.generated.ggml_backend_h.ggml_backend_graph_compute;
import static dev.gatun.bindings.generated.ggml_backend_h.ggml_backend_init_by_type;
import static dev.gatun.bindings.generated.ggml_h.ggml_build_forward_expand;
import static dev.gatun.bindings.generated.ggml_h.ggml_free;
import static dev.gatun.bindings.generated.ggml_h.ggml_get_data;
import static dev.gatun.bindings.generated.ggml_h.ggml_init;
import static dev.gatun.bindings.generated.ggml_h.ggml_new_graph;
import static dev.gatun.bindings.generated.ggml_h.ggml_new_tensor_1d;
import static dev.gatun.bindings.generated.ggml_h.ggml_new_tensor_3d;
import static dev.gatun.bindings.generated.ggml_h.ggml_rope_ext;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.LlamaRuntime;
import dev.gatun.bindings.Segments;
import dev.gatun.bindings.generated.ggml_init_params;
import dev.gatun.rope.RopeBasis;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.Rotation;
import dev.gatun.rope.Vectors;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * YaRN at d = 128 through {@code ggml_rope_ext} itself: with upstream's parameters, and with the
 * frequency factors and the attention factor that the hook writes into rope nodes.
 */
class NativeRopeVectorsTest {
  private static final int F32 = 0;
  private static final int I32 = 26;
  private static final int CPU = 0;
  private static final int DIMENSIONS = 128;
  private static final RopeBasis BASIS = new RopeBasis(DIMENSIONS, 10_000, 4096);
  private static final Map<String, Object> FILE = Vectors.read("rope_vectors.json");

  @BeforeAll
  static void load() {
    LlamaRuntime.load();
  }

  /** Turns (1, 0) in every pair; returns cos and sin times the attention factor. */
  private static float[][] turn(
      int position, float[] factors, double scale, double extrapolation, double attention) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment params = arena.allocate(ggml_init_params.BYTES, ggml_init_params.ALIGNMENT);
      ggml_init_params.mem_size(params, 4L << 20);
      ggml_init_params.mem_buffer(params, MemorySegment.NULL);
      ggml_init_params.no_alloc(params, false);
      MemorySegment context = ggml_init(params);
      MemorySegment backend = ggml_backend_init_by_type(CPU, MemorySegment.NULL);
      try {
        MemorySegment x = ggml_new_tensor_3d(context, F32, DIMENSIONS, 1, 1);
        for (int i = 0; i < DIMENSIONS; i++) {
          data(x, DIMENSIONS).setAtIndex(ValueLayout.JAVA_FLOAT, i, i % 2 == 0 ? 1 : 0);
        }
        MemorySegment positions = ggml_new_tensor_1d(context, I32, 1);
        data(positions, 1).set(ValueLayout.JAVA_INT, 0, position);
        MemorySegment table = MemorySegment.NULL;
        if (factors.length > 0) {
          table = ggml_new_tensor_1d(context, F32, factors.length);
          MemorySegment.copy(
              factors, 0, data(table, factors.length), ValueLayout.JAVA_FLOAT, 0, factors.length);
        }
        MemorySegment out =
            ggml_rope_ext(
                context,
                x,
                positions,
                table,
                DIMENSIONS,
                0,
                4096,
                10_000,
                (float) scale,
                (float) extrapolation,
                (float) attention,
                32,
                1);
        MemorySegment graph = ggml_new_graph(context);
        ggml_build_forward_expand(graph, out);
        assertEquals(0, ggml_backend_graph_compute(backend, graph));
        float[][] pairs = new float[DIMENSIONS / 2][2];
        for (int i = 0; i < DIMENSIONS; i++) {
          pairs[i / 2][i % 2] = data(out, DIMENSIONS).getAtIndex(ValueLayout.JAVA_FLOAT, i);
        }
        return pairs;
      } finally {
        ggml_backend_free(backend);
        ggml_free(context);
      }
    }
  }

  private static MemorySegment data(MemorySegment tensor, long elements) {
    return Segments.sized(ggml_get_data(tensor), 4 * elements);
  }

  private static double difference(float[][] actual, double[][] expected) {
    double most = 0;
    for (int i = 0; i < expected.length; i++) {
      for (int j = 0; j < 2; j++) {
        most = Math.max(most, Math.abs(expected[i][j] - actual[i][j]));
      }
    }
    return most;
  }

  private static double[][] exact(Rotation rotation, int position) {
    double[] frequencies = rotation.inverseFrequencies();
    double[][] pairs = new double[frequencies.length][];
    Arrays.setAll(
        pairs,
        i ->
            new double[] {
              rotation.attentionFactor() * Math.cos(position * frequencies[i]),
              rotation.attentionFactor() * Math.sin(position * frequencies[i])
            });
    return pairs;
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 8, 32})
  void yarn_isWhatNativeRopeTurns(int s) {
    Rotation rotation = RopeScaling.yarn(s).rotation(BASIS);
    RopeHook hook = RopeParameters.hook(rotation);
    Map<String, Object> vectors =
        Vectors.map(
            Vectors.map(Vectors.map(FILE, "scales"), Integer.toString(s)), "ggml_f32_cos_sin");
    for (String text : vectors.keySet()) {
      int position = Integer.parseInt(text);
      double[][] expected = Vectors.matrix(Vectors.map(vectors, text).get("yarn_f32"));
      float[][] upstream = turn(position, new float[0], 1.0 / s, 1, 1);
      float[][] ours = turn(position, hook.factors(), 1, 0, hook.attentionFactor());
      double vector = difference(upstream, expected);
      double native64 = difference(upstream, exact(rotation, position));
      double ours64 = difference(ours, exact(rotation, position));
      System.out.printf(
          "YaRN %d at %,d: ggml_rope_ext to the vectors %.1e; to the exact rotation %.1e with upstream's parameters, %.1e with the hook's table%n",
          s, position, vector, native64, ours64);
      // The file emulates float32 operation by operation.
      assertTrue(vector < 1e-5, () -> s + " at " + text + ": " + vector);
      // Against exact angles both lose what a float32 phase of this size loses, and no more.
      double phase = 1e-6 + 2e-7 * position;
      assertTrue(native64 < phase, () -> s + " at " + text + ": " + native64);
      assertTrue(ours64 < phase, () -> s + " at " + text + ": " + ours64);
    }
  }

  /** Where a float32 phase is exact enough, the frequencies themselves agree. */
  @ParameterizedTest
  @ValueSource(ints = {2, 8, 32})
  void frequencies_areNativeRopes(int s) {
    Rotation rotation = RopeScaling.yarn(s).rotation(BASIS);
    RopeHook hook = RopeParameters.hook(rotation);
    for (int position : new int[] {0, 1, 2, 5, 13, 31}) {
      double upstream =
          difference(turn(position, new float[0], 1.0 / s, 1, 1), exact(rotation, position));
      double ours =
          difference(
              turn(position, hook.factors(), 1, 0, hook.attentionFactor()),
              exact(rotation, position));
      assertTrue(upstream < 1e-5, () -> "upstream at " + position + ": " + upstream);
      assertTrue(ours < 1e-5, () -> "hook at " + position + ": " + ours);
    }
  }
}
