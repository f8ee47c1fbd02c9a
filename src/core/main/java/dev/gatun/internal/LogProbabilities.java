package dev.gatun.internal;

import static dev.gatun.bindings.generated.gatun_shim_h.gatun_logsumexp;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_top_k;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Log-probabilities of logits, computed in native memory. */
public final class LogProbabilities {
  private LogProbabilities() {}

  /**
   * Returns {@code log(sum(exp(logits)))}; the log-probability of a token is its logit minus this.
   *
   * @param logits float32, {@code [n]}
   * @param n number of logits
   */
  public static double logSumExp(MemorySegment logits, int n) {
    return gatun_logsumexp(logits, n);
  }

  /**
   * Returns the tokens with the largest logits, largest first.
   *
   * @param logits float32, {@code [n]}
   * @param n number of logits
   * @param k how many, at most {@code n}
   */
  public static int[] top(MemorySegment logits, int n, int k) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment ids = call.allocate(ValueLayout.JAVA_INT, Math.max(1, k));
      gatun_top_k(logits, n, k, ids);
      return ids.asSlice(0, 4L * k).toArray(ValueLayout.JAVA_INT);
    }
  }
}
