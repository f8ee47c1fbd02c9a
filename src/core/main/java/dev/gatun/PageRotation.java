package dev.gatun;

import dev.gatun.internal.NativeAttention;
import dev.gatun.rope.RopeBasis;
import dev.gatun.rope.RopeFacts;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.Rotation;
import dev.gatun.rope.StaticScaling;
import dev.gatun.rope.TwoBand;

/**
 * Turns a question's queries to where they stand to the keys of pages as the cache has them: right
 * behind the segment in which the page was read, or under two bands far from it. So every distance
 * is one that the model was trained for.
 *
 * <p>A scaling that the file itself brings is not followed: within a segment it changes next to
 * nothing.
 */
final class PageRotation {
  private final double[] frequencies;
  private final boolean adjacent;
  private final double position;

  private PageRotation(double[] frequencies, boolean adjacent, double position) {
    this.frequencies = frequencies;
    this.adjacent = adjacent;
    this.position = position;
  }

  /**
   * Returns the turn for a context. Called inside the guard.
   *
   * @param segmentEnd position behind the longest segment
   */
  static PageRotation of(LlamaContext owner, int segmentEnd) {
    RopeFacts facts = RopeFacts.of(owner.model().file());
    if (facts.has(RopeFacts.Trait.NO_ROPE)) {
      return new PageRotation(new double[0], false, 0);
    }
    RopeBasis basis = facts.basis();
    RopeScaling scaling = owner.ropeScaling();
    Rotation rotation =
        scaling instanceof StaticScaling fixed ? fixed.rotation(basis) : Rotation.unscaled(basis);
    double position = segmentEnd;
    if (scaling instanceof TwoBand bands) {
      int far = segmentEnd + basis.trainedTokens();
      position = bands.queryPosition(far, 0) - bands.keyPosition(far, 0);
    }
    return new PageRotation(
        rotation.inverseFrequencies(), owner.model().nativeModel().turnsNeighbours(), position);
  }

  /** Returns the queries, turned. */
  float[] turn(NativeAttention.Queries queries) {
    float[] values = queries.values().clone();
    int pairs = frequencies.length;
    for (int pair = 0; pair < pairs; pair++) {
      double angle = position * frequencies[pair];
      float cos = (float) Math.cos(angle);
      float sin = (float) Math.sin(angle);
      int first = adjacent ? 2 * pair : pair;
      int second = adjacent ? first + 1 : first + pairs;
      for (int at = 0; at < values.length; at += queries.headSize()) {
        float a = values[at + first];
        float b = values[at + second];
        values[at + first] = a * cos - b * sin;
        values[at + second] = a * sin + b * cos;
      }
    }
    return values;
  }
}
