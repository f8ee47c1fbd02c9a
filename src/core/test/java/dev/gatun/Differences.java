package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Compares logits. */
final class Differences {
  private Differences() {}

  static double[] copy(MemorySegment logits) {
    float[] floats = logits.toArray(ValueLayout.JAVA_FLOAT);
    double[] doubles = new double[floats.length];
    for (int i = 0; i < floats.length; i++) {
      doubles[i] = floats[i];
    }
    return doubles;
  }

  /** Returns the logits after each of these tokens. */
  static double[][] evaluate(LlamaSession session, int... tokens) {
    double[][] logits = new double[tokens.length][];
    int first = Math.toIntExact(session.droppedTokens() + session.size());
    session.evaluate(
        tokens, Cancellation.never(), (index, values) -> logits[index - first] = copy(values));
    return logits;
  }

  static double max(double[] a, double[] b) {
    assertEquals(a.length, b.length);
    double most = 0;
    for (int i = 0; i < a.length; i++) {
      assertTrue(Double.isFinite(a[i]) && Double.isFinite(b[i]), "a logit is not finite");
      most = Math.max(most, Math.abs(a[i] - b[i]));
    }
    return most;
  }

  static double max(double[][] a, double[][] b) {
    assertEquals(a.length, b.length);
    double most = 0;
    for (int i = 0; i < a.length; i++) {
      most = Math.max(most, max(a[i], b[i]));
    }
    return most;
  }

  /**
   * Fails when logits differ by more; prints the difference when {@code gatun.differences} is set.
   */
  static void assertNear(String what, double[][] expected, double[][] actual, double tolerance) {
    double most = max(expected, actual);
    if (Boolean.getBoolean("gatun.differences")) {
      System.out.printf("@@ %.2e %s%n", most, what);
    }
    assertTrue(
        most <= tolerance,
        () -> "%s: logits differ by %.3e, more than %.1e".formatted(what, most, tolerance));
  }
}
