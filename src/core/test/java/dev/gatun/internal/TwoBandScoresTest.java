package dev.gatun.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.gatun.LlamaRuntime;
import dev.gatun.rope.DualChunk;
import dev.gatun.rope.LeakyReRope;
import dev.gatun.rope.ReRope;
import dev.gatun.rope.SelfExtend;
import dev.gatun.rope.TwoBand;
import dev.gatun.rope.Vectors;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The native kernel's scores, against an independent program's numbers and the Java definitions.
 */
class TwoBandScoresTest {
  private static final Map<String, Object> FILE = Vectors.read("two_band_vectors.json");
  private static final double BASE = 195;

  @BeforeAll
  static void load() {
    LlamaRuntime.load();
  }

  private static void reference(String name, TwoBand method) {
    double[][] expected =
        Vectors.matrix(Vectors.map(Vectors.map(FILE, "methods"), name).get("scores"));
    float[][] actual =
        NativeRope.scores(
            RopeParameters.hook(method, 256),
            BASE,
            true,
            narrow(Vectors.matrix(FILE.get("q"))),
            narrow(Vectors.matrix(FILE.get("k"))));
    for (int i = 0; i < expected.length; i++) {
      for (int j = 0; j <= i; j++) {
        assertEquals(expected[i][j], actual[i][j], 1e-5, name + " " + i + " " + j);
      }
    }
  }

  private static float[][] narrow(double[][] values) {
    float[][] floats = new float[values.length][values[0].length];
    for (int i = 0; i < values.length; i++) {
      for (int j = 0; j < values[i].length; j++) {
        floats[i][j] = (float) values[i][j];
      }
    }
    return floats;
  }

  @Test
  void selfExtend_equalsTheReference() {
    reference("selfExtend", new SelfExtend(4, 6, false));
  }

  @Test
  void reRope_equalsTheReference() {
    reference("reRope", new ReRope(6, false));
  }

  @Test
  void leakyReRope_equalsTheReference() {
    reference("leakyReRope", new LeakyReRope(4, 6, false));
  }

  @Test
  void dualChunk_equalsTheReference() {
    reference("dualChunk", new DualChunk(12, 4, false));
  }

  @Test
  void aWindowLongerThanTheText_isPlainAttention() {
    reference("plain", new ReRope(41, false));
  }

  /** Many tiles and blocks, both layouts of pairs, far beyond the trained length, with log n. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void longTexts_equalTheJavaDefinition(boolean adjacent) {
    int tokens = 700;
    int size = 64;
    Random random = new Random(5);
    float[][] q = new float[tokens][size];
    float[][] k = new float[tokens][size];
    for (int i = 0; i < tokens; i++) {
      for (int e = 0; e < size; e++) {
        q[i][e] = (float) random.nextGaussian();
        k[i][e] = (float) random.nextGaussian();
      }
    }
    for (TwoBand method :
        new TwoBand[] {
          new SelfExtend(5, 33, true),
          new ReRope(64, true),
          new LeakyReRope(3.5, 48, true),
          new DualChunk(96, 40, true)
        }) {
      float[][] actual = NativeRope.scores(RopeParameters.hook(method, 128), BASE, adjacent, q, k);
      for (int i = 0; i < tokens; i += 7) {
        double logN = TwoBand.logNFactor(i, 128);
        for (int j = 0; j <= i; j += 3) {
          double turn = method.queryPosition(i, j) - method.keyPosition(i, j);
          double expected = logN * score(q[i], k[j], turn, adjacent) / Math.sqrt(size);
          assertEquals(expected, actual[i][j], 2e-5, method + " " + i + " " + j);
        }
      }
    }
  }

  private static double score(float[] q, float[] k, double turn, boolean adjacent) {
    int pairs = q.length / 2;
    double score = 0;
    for (int i = 0; i < pairs; i++) {
      int x = adjacent ? 2 * i : i;
      int y = adjacent ? 2 * i + 1 : i + pairs;
      double angle = turn * Math.pow(BASE, -2.0 * i / q.length);
      score +=
          Math.cos(angle) * ((double) q[x] * k[x] + (double) q[y] * k[y])
              + Math.sin(angle) * ((double) q[x] * k[y] - (double) q[y] * k[x]);
    }
    return score;
  }

  @Test
  void nonsenseIsRefused() {
    RopeHook hook = new RopeHook(new float[0], 1, 2, 0, 1, 0, 1, 0);
    float[][] one = {{1, 0}};
    assertThrows(
        IllegalArgumentException.class, () -> NativeRope.scores(hook, BASE, true, one, one));
  }
}
