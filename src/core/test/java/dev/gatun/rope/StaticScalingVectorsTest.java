package dev.gatun.rope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every method's frequencies and attention factor, against an independent program's numbers. */
class StaticScalingVectorsTest {
  private static final Map<String, Object> FILE = Vectors.read("rope_vectors.json");
  private static final RopeBasis BASIS = new RopeBasis(128, 10_000, 4096);

  /** The numbers were written with 12 decimals. */
  private static void frequencies(Map<String, Object> method, Rotation rotation) {
    double[] expected = Vectors.array(method.get("inv_freq"));
    double[] actual = rotation.inverseFrequencies();
    assertEquals(expected.length, actual.length);
    for (int i = 0; i < expected.length; i++) {
      assertEquals(1, actual[i] / expected[i], 1e-6, "pair " + i);
    }
    double mscale = method.containsKey("mscale") ? Vectors.number(method, "mscale") : 1;
    assertEquals(mscale, rotation.attentionFactor(), 1e-6);
  }

  private static Map<String, Object> method(int factor, String name) {
    return Vectors.map(Vectors.map(Vectors.map(FILE, "scales"), Integer.toString(factor)), name);
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 8, 32})
  void plainFrequencies(int s) {
    assertArrayEquals(
        Vectors.array(FILE.get("base_inv_freq")),
        Rotation.unscaled(BASIS).inverseFrequencies(),
        1e-11);
    frequencies(method(s, "linear"), RopeScaling.linear(s).rotation(BASIS));
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 8, 32})
  void ntk(int s) {
    frequencies(method(s, "ntk_aware"), RopeScaling.ntkAware(s).rotation(BASIS));
    double base = Vectors.number(method(s, "ntk_aware"), "base");
    assertEquals(1, RopeScaling.ntkAware(s).stretchedBase(BASIS) / base, 1e-12);
    frequencies(method(s, "ntk_fixed_vllm"), RopeScaling.ntkFixed(s).rotation(BASIS));
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 8, 32})
  void dynamicNtk_inItsThreeForms(int s) {
    int tokens = 4096 * s;
    for (var form :
        Map.of(
                "dynamic_ntk_paper", DynamicNtk.paper(tokens),
                "dynamic_ntk_hf", DynamicNtk.huggingFace(s, tokens),
                "dynamic_ntk_vllm", DynamicNtk.vllm(s))
            .entrySet()) {
      frequencies(method(s, form.getKey()), form.getValue().rotation(BASIS));
      double base = Vectors.number(method(s, form.getKey()), "base");
      assertEquals(1, form.getValue().stretchedBase(BASIS) / base, 1e-12);
    }
    assertEquals(s * s - s + 1, DynamicNtk.vllm(s).effectiveFactor(BASIS));
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 8, 32})
  void byParts_inTheCodesRampAndInThePapers(int s) {
    NtkByParts code = RopeScaling.ntkByParts(s);
    frequencies(method(s, "ntk_by_parts"), code.rotation(BASIS));
    NtkByParts paper = code.withRamp(NtkByParts.Ramp.PAPER);
    frequencies(method(s, "ntk_by_parts_paper"), paper.rotation(BASIS));
    double[] a = code.rotation(BASIS).inverseFrequencies();
    double[] b = paper.rotation(BASIS).inverseFrequencies();
    double most = 0;
    for (int i = 0; i < a.length; i++) {
      most = Math.max(most, Math.abs(a[i] - b[i]) / Math.max(a[i], b[i]));
    }
    assertEquals(
        Vectors.number(method(s, "ntk_by_parts_paper"), "max_rel_diff_vs_code"), most, 1e-6);
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 8, 32})
  void yarn_withRoundedBordersAndWithExactOnes(int s) {
    Yarn yarn = RopeScaling.yarn(s);
    frequencies(method(s, "yarn"), yarn.rotation(BASIS));
    frequencies(method(s, "yarn_truncate_false"), yarn.withTruncate(false).rotation(BASIS));
    assertArrayEquals(
        Vectors.array(method(s, "yarn_as_rope_freqs").get("freq_factors")),
        yarn.rotation(BASIS).freqFactors(),
        1e-6 * s);
    // Without temperature it is NTK-by-parts.
    frequencies(method(s, "ntk_by_parts"), yarn.withTemperature(Temperature.off()).rotation(BASIS));
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 8, 32})
  void llama3(int s) {
    frequencies(method(s, "llama3_style"), RopeScaling.llama3(s).rotation(BASIS));
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 8, 32})
  void yarn_turnsAsGgmlDoesInFloat32(int s) {
    Rotation rotation = RopeScaling.yarn(s).rotation(BASIS);
    double[] frequencies = rotation.inverseFrequencies();
    Map<String, Object> positions = method(s, "ggml_f32_cos_sin");
    assertTrue(positions.size() >= 4);
    for (String position : positions.keySet()) {
      Map<String, Object> at = Vectors.map(positions, position);
      double[][] pairs = Vectors.matrix(at.get("yarn_f32"));
      double tolerance = 1.05 * Vectors.number(at, "max_abs_diff_vs_float64") + 1e-7;
      for (int i = 0; i < pairs.length; i++) {
        double angle = Integer.parseInt(position) * frequencies[i];
        double[] turned = {
          Math.cos(angle) * rotation.attentionFactor(), Math.sin(angle) * rotation.attentionFactor()
        };
        assertArrayEquals(
            pairs[i], turned, tolerance, "position " + position + Arrays.toString(turned));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 8, 32})
  void theBordersOfTheRamp(int s) {
    ByParts parts = ByParts.of(BASIS, 0, Double.NaN, Double.NaN);
    Map<String, Object> dims = Vectors.map(FILE, "correction_dims");
    assertEquals(Vectors.number(dims, "beta_fast_32_raw"), parts.pairTurning(32), 1e-9);
    assertEquals(Vectors.number(dims, "beta_slow_1_raw"), parts.pairTurning(1), 1e-9);
    double[] keep = Vectors.array(method(s, "yarn").get("ramp_keep"));
    for (int i = 0; i < keep.length; i++) {
      assertEquals(keep[i], parts.code(i, true), 1e-9);
    }
  }
}
