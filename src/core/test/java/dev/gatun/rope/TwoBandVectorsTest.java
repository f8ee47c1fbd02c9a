package dev.gatun.rope;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import org.junit.jupiter.api.Test;

/** Attention scores of one head under every two-band method, against an independent program's. */
class TwoBandVectorsTest {
  private static final Map<String, Object> FILE = Vectors.read("two_band_vectors.json");
  private static final double[][] Q = Vectors.matrix(FILE.get("q"));
  private static final double[][] K = Vectors.matrix(FILE.get("k"));
  private static final double[] FREQUENCIES =
      Rotation.unscaled(new RopeBasis(8, 195, 16)).inverseFrequencies();

  private static void scores(String name, TwoBand method) {
    double[][] expected =
        Vectors.matrix(Vectors.map(Vectors.map(FILE, "methods"), name).get("scores"));
    assertEquals(40, expected.length);
    for (int i = 0; i < expected.length; i++) {
      assertEquals(i + 1, expected[i].length);
      for (int j = 0; j <= i; j++) {
        double[] q = turned(Q[i], method.queryPosition(i, j));
        double[] k = turned(K[j], method.keyPosition(i, j));
        double score = 0;
        for (int e = 0; e < q.length; e++) {
          score += q[e] * k[e];
        }
        assertEquals(expected[i][j], score / Math.sqrt(q.length), 1e-5, name + " " + i + " " + j);
      }
    }
  }

  private static double[] turned(double[] v, double position) {
    double[] out = new double[v.length];
    for (int i = 0; i < FREQUENCIES.length; i++) {
      double cos = Math.cos(position * FREQUENCIES[i]);
      double sin = Math.sin(position * FREQUENCIES[i]);
      out[2 * i] = v[2 * i] * cos - v[2 * i + 1] * sin;
      out[2 * i + 1] = v[2 * i] * sin + v[2 * i + 1] * cos;
    }
    return out;
  }

  @Test
  void aWindowLongerThanTheText_isPlainAttention() {
    scores("plain", new ReRope(41, false));
  }

  @Test
  void selfExtend() {
    scores("selfExtend", new SelfExtend(4, 6, false));
  }

  @Test
  void reRope() {
    scores("reRope", new ReRope(6, false));
  }

  @Test
  void leakyReRope() {
    scores("leakyReRope", new LeakyReRope(4, 6, false));
  }

  @Test
  void dualChunk() {
    scores("dualChunk", new DualChunk(12, 4, false));
  }
}
