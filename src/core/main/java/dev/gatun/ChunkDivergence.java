package dev.gatun;

/**
 * How far the next-token distributions of an assembled session are from those of a full prefill.
 *
 * @param mean mean Kullback-Leibler divergence of the assembled session from the full prefill, nats
 * @param largest the largest one
 * @param positions how many distributions were compared
 * @param sameChoice how many have the same most probable token
 */
public record ChunkDivergence(double mean, double largest, int positions, int sameChoice) {

  /** Adds up. */
  static final class Sum {
    private double total;
    private double largest;
    private int positions;
    private int sameChoice;

    /** Compares logits. */
    void add(float[] expected, float[] actual) {
      double p = logSumExp(expected);
      double q = logSumExp(actual);
      double divergence = 0;
      int choice = 0;
      int mine = 0;
      for (int i = 0; i < expected.length; i++) {
        double probability = Math.exp(expected[i] - p);
        if (probability > 0) {
          divergence += probability * (expected[i] - p - (actual[i] - q));
        }
        choice = expected[i] > expected[choice] ? i : choice;
        mine = actual[i] > actual[mine] ? i : mine;
      }
      total += divergence;
      largest = Math.max(largest, divergence);
      positions++;
      sameChoice += choice == mine ? 1 : 0;
    }

    private static double logSumExp(float[] logits) {
      double max = Double.NEGATIVE_INFINITY;
      for (float logit : logits) {
        max = Math.max(max, logit);
      }
      double sum = 0;
      for (float logit : logits) {
        sum += Math.exp(logit - max);
      }
      return max + Math.log(sum);
    }

    ChunkDivergence result() {
      return new ChunkDivergence(total / positions, largest, positions, sameChoice);
    }
  }
}
