package dev.gatun.kv;

/**
 * Keeps what queries to come will attend to, if they are spread as the last ones: from mean and
 * covariance of the queries before the rotation, turned by the mean rotation of the positions to
 * come. As the mean over layers and heads. Of a layer with fewer heads than others only those.
 *
 * <p>Source: Devoto et al., "Expected Attention", 2025, equations 4 to 7, and NVIDIA kvpress; the
 * norm of the values is left out.
 *
 * @param window queries of how many last tokens are looked at
 * @param future over how many positions the rotation is averaged
 * @param spans which neighbours stay too
 */
public record ExpectedAttention(int window, int future, Spans spans) implements EvictionPolicy {
  /** Checks the number of positions. */
  public ExpectedAttention {
    if (future < 1) {
      throw new IllegalArgumentException(
          "the rotation is averaged over at least 1 position, not " + future);
    }
  }

  @Override
  public String name() {
    return "expected:"
        + window
        + "/"
        + future
        + (spans.equals(Spans.none()) ? "" : "/" + EvictionSpec.write(spans));
  }

  @Override
  public EvictionNeeds needs() {
    return EvictionNeeds.of(Observation.Window.of(window)).withQueries(window).withKeys();
  }

  @Override
  public float[] score(EvictionView view) {
    int n = view.size();
    int d = view.headSize();
    ObservedQueries queries = view.queries();
    double[][] turn = meanTurn(view);
    float[] scores = new float[n];
    for (int layer = 0; layer < view.layers(); layer++) {
      Keys keys = Keys.of(view, layer);
      int group = Math.max(1, queries.heads() / view.keyHeads());
      for (int head = 0; head < view.keyHeads() * group; head++) {
        double[] mean = new double[d];
        double[][] covariance = new double[d][d];
        moments(queries, layer, head, mean, covariance);
        double[] turned = times(turn, mean);
        double[][] spread = times(times(turn, covariance), transposed(turn));
        double scale = view.turn().scale() / Math.sqrt(d);
        double[] logits = new double[n];
        double most = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < n; i++) {
          int keyHead = head / group;
          double quadratic = 0;
          for (int row = 0; row < d; row++) {
            quadratic += keys.value(i, keyHead, row) * keys.dot(i, keyHead, spread[row]);
          }
          logits[i] = keys.dot(i, keyHead, turned) * scale + quadratic * scale * scale / 2;
          most = Math.max(most, logits[i]);
        }
        double total = 0;
        for (double logit : logits) {
          total += Math.exp(logit - most);
        }
        for (int i = 0; i < n; i++) {
          scores[i] += (float) (Math.exp(logits[i] - most) / total);
        }
      }
    }
    return scores;
  }

  /** Returns the mean of the rotations of the positions to come. */
  private double[][] meanTurn(EvictionView view) {
    QueryTurn turn = view.turn();
    int d = view.headSize();
    double[][] mean = new double[d][d];
    for (int i = 0; i < d; i++) {
      mean[i][i] = 1;
    }
    int pairs = turn.inverseFrequencies().length;
    int next = view.position(view.size() - 1) + 1;
    for (int pair = 0; pair < pairs; pair++) {
      double cos = 0;
      double sin = 0;
      int steps = turn.farPosition().isPresent() ? 1 : future;
      for (int step = 0; step < steps; step++) {
        double angle =
            turn.farPosition().orElse(next + (double) step) * turn.inverseFrequencies()[pair];
        cos += Math.cos(angle) / steps;
        sin += Math.sin(angle) / steps;
      }
      int a = turn.adjacent() ? 2 * pair : pair;
      int b = turn.adjacent() ? a + 1 : a + pairs;
      mean[a][a] = cos;
      mean[a][b] = -sin;
      mean[b][a] = sin;
      mean[b][b] = cos;
    }
    return mean;
  }

  private static void moments(
      ObservedQueries queries, int layer, int head, double[] mean, double[][] covariance) {
    int d = mean.length;
    int count = queries.tokens();
    for (int t = 0; t < count; t++) {
      int at = queries.at(layer, t, head);
      for (int e = 0; e < d; e++) {
        mean[e] += queries.values()[at + e] / (double) count;
      }
    }
    for (int t = 0; t < count; t++) {
      int at = queries.at(layer, t, head);
      for (int row = 0; row < d; row++) {
        double deviation = (queries.values()[at + row] - mean[row]) / count;
        for (int column = 0; column < d; column++) {
          covariance[row][column] += deviation * (queries.values()[at + column] - mean[column]);
        }
      }
    }
  }

  private static double[] times(double[][] matrix, double[] vector) {
    double[] product = new double[matrix.length];
    for (int row = 0; row < matrix.length; row++) {
      for (int e = 0; e < vector.length; e++) {
        product[row] += matrix[row][e] * vector[e];
      }
    }
    return product;
  }

  private static double[][] times(double[][] a, double[][] b) {
    int d = a.length;
    double[][] product = new double[d][d];
    for (int row = 0; row < d; row++) {
      for (int inner = 0; inner < d; inner++) {
        double factor = a[row][inner];
        if (factor != 0) {
          for (int column = 0; column < d; column++) {
            product[row][column] += factor * b[inner][column];
          }
        }
      }
    }
    return product;
  }

  private static double[][] transposed(double[][] matrix) {
    int d = matrix.length;
    double[][] flipped = new double[d][d];
    for (int row = 0; row < d; row++) {
      for (int column = 0; column < d; column++) {
        flipped[column][row] = matrix[row][column];
      }
    }
    return flipped;
  }
}
