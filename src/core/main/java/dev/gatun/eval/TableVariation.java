package dev.gatun.eval;

import dev.gatun.rope.FactorTable;
import java.util.Arrays;
import java.util.List;
import java.util.random.RandomGenerator;

/**
 * Makes new tables of old ones. Every table that comes out is non-decreasing, from 1 to 1.25 times
 * the stretch (Ding et al., "LongRoPE", 2024, section 3.2 and table 4), and its attention factor is
 * from 0.5 to 2. Steps are taken in the logarithm, because a factor is a ratio.
 */
final class TableVariation {
  /** How far above the stretch a factor may be. */
  private static final double HEADROOM = 1.25;

  private static final double MOST_ATTENTION = 2;

  /** Share of the pairs that a scattered mutation changes, as in the paper. */
  private static final double SHARE = 0.3;

  /** Standard deviations of a step; each mutation draws its own, so that both sizes occur. */
  private static final double SMALLEST_STEP = 0.02;

  private static final double LARGEST_STEP = 0.5;

  /** An attention factor stays in a narrower range than the others. */
  private static final double ATTENTION_STEP = 0.25;

  private final RandomGenerator random;
  private final double most;

  /**
   * Makes variations.
   *
   * @param stretch length over trained length, above 1
   * @param random where chance comes from
   */
  TableVariation(double stretch, RandomGenerator random) {
    this.random = random;
    this.most = stretch * HEADROOM;
  }

  /**
   * Changes a table: half of the time pairs here and there, else neighbouring pairs together, most
   * in the middle of them.
   */
  FactorTable mutated(FactorTable table) {
    double[] logs = logs(table);
    double step = SMALLEST_STEP * Math.pow(LARGEST_STEP / SMALLEST_STEP, random.nextDouble());
    if (random.nextBoolean()) {
      for (int i = 0; i < logs.length; i++) {
        if (random.nextDouble() < SHARE) {
          logs[i] += step * random.nextGaussian();
        }
      }
    } else {
      double centre = random.nextDouble() * logs.length;
      double width = 1 + random.nextDouble() * logs.length / 4;
      double height = step * random.nextGaussian();
      for (int i = 0; i < logs.length; i++) {
        double away = (i - centre) / width;
        logs[i] += height * Math.exp(-away * away / 2);
      }
    }
    double attention = Math.log(table.attentionFactor());
    if (random.nextDouble() < SHARE) {
      attention += ATTENTION_STEP * step * random.nextGaussian();
    }
    return table(logs, attention);
  }

  /**
   * Puts two tables together: the pairs below a random one from one of them, the rest from the
   * other, the attention factor from either.
   */
  FactorTable crossed(FactorTable first, FactorTable second) {
    double[] logs = logs(first);
    double[] others = logs(second);
    int cut = 1 + random.nextInt(Math.max(1, logs.length - 1));
    System.arraycopy(others, cut, logs, cut, logs.length - cut);
    return table(
        logs, Math.log(random.nextBoolean() ? first.attentionFactor() : second.attentionFactor()));
  }

  private static double[] logs(FactorTable table) {
    return table.factors().stream().mapToDouble(Math::log).toArray();
  }

  private FactorTable table(double[] logs, double attention) {
    // Sorting is the smallest rearrangement that makes them non-decreasing.
    Arrays.sort(logs);
    List<Double> factors =
        Arrays.stream(logs).map(log -> Math.clamp(Math.exp(log), 1, most)).boxed().toList();
    return new FactorTable(
        factors, Math.clamp(Math.exp(attention), 1 / MOST_ATTENTION, MOST_ATTENTION));
  }
}
