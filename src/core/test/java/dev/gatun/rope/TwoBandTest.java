package dev.gatun.rope;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TwoBandTest {
  private static final List<TwoBand> ALL =
      List.of(
          RopeScaling.selfExtend(),
          RopeScaling.rerope(),
          RopeScaling.leakyReRope(),
          RopeScaling.dualChunk());

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 5, 16, 256})
  void chosenParameters_keepEveryDistanceInTheTrainedRange(int trained) {
    for (int context : new int[] {1, trained, trained + 1, 4 * trained, 8 * trained + 3}) {
      for (TwoBand open : ALL) {
        assertFalse(open.isResolved());
        TwoBand method = open.resolved(trained, context);
        assertTrue(method.isResolved() && method.logN());
        assertEquals(method, method.resolved(trained, context));
        int step = Math.max(1, context / 200);
        for (int i = context - 1; i >= 0; i -= step) {
          for (int j = 0; j <= i; j += step) {
            double distance = method.queryPosition(i, j) - method.keyPosition(i, j);
            if (method.isNear(i, j)) {
              assertEquals(i - j, distance, method + " " + i + " " + j);
            }
            // Leaky ReRoPE has no room left when window and trained length meet.
            double most = method instanceof LeakyReRope && trained < 3 ? trained : trained - 1;
            assertTrue(
                distance >= 0 && distance <= most + 1e-9,
                method + " of " + trained + ": " + i + " sees " + j + " at " + distance);
          }
        }
      }
    }
  }

  @Test
  void defaults_followTheTrainedLength() {
    assertEquals(new ReRope(64, true), RopeScaling.rerope().resolved(256, 4096));
    assertEquals(new DualChunk(192, 64, true), RopeScaling.dualChunk().resolved(256, 4096));
    assertEquals(new DualChunk(96, 32, false), new DualChunk(96, 0, false).resolved(256, 4096));
    SelfExtend self = RopeScaling.selfExtend().resolved(256, 4096);
    assertEquals(64, self.window());
    // The smallest group that fits: one less does not.
    assertTrue(self.queryPosition(4095, 0) < 256);
    assertTrue(new SelfExtend(self.group() - 1, 64, true).queryPosition(4095, 0) >= 256);
    assertEquals(1, RopeScaling.selfExtend().resolved(256, 256).group());
    assertEquals(255, RopeScaling.leakyReRope().resolved(256, 4096).queryPosition(4095, 0), 1e-9);
    assertEquals(1, RopeScaling.leakyReRope().resolved(256, 200).factor());
  }

  @Test
  void statedParameters_stay() {
    SelfExtend self = new SelfExtend(2, 32, false);
    assertEquals(self, self.resolved(256, 100_000));
    assertEquals(new SelfExtend(2, 64, true), new SelfExtend(2, 0, true).resolved(256, 100_000));
    assertEquals(RopeScaling.rerope().withLogN(false), new ReRope(0, false));
  }

  @Test
  void logN_startsAtTheTrainedLength() {
    assertEquals(1, TwoBand.logNFactor(0, 256));
    assertEquals(1, TwoBand.logNFactor(255, 256));
    assertTrue(TwoBand.logNFactor(256, 256) > 1);
    assertEquals(2, TwoBand.logNFactor(65_535, 256), 1e-12);
  }

  @Test
  void dynamic_doublesFromTheTrainedLength() {
    assertEquals(256, Dynamic.bucketEnd(0, 256));
    assertEquals(256, Dynamic.bucketEnd(256, 256));
    assertEquals(512, Dynamic.bucketEnd(257, 256));
    assertEquals(4096, Dynamic.bucketEnd(2049, 256));
    assertEquals(Integer.MAX_VALUE, Dynamic.bucketEnd(Integer.MAX_VALUE, 256));

    RopeFacts facts = RopeFacts.plain(new RopeBasis(64, 195, 256));
    Dynamic yarn = RopeScaling.dynamic();
    assertEquals(RopeScaling.modelDefault(), yarn.at(256, facts));
    assertEquals(RopeScaling.yarn(2), yarn.at(257, facts));
    assertEquals(RopeScaling.yarn(2), yarn.at(512, facts));
    assertEquals(RopeScaling.ntkAware(8), new Dynamic(Dynamic.Family.NTK_AWARE).at(1500, facts));
    assertEquals(RopeScaling.linear(4), new Dynamic(Dynamic.Family.LINEAR).at(1000, facts));
    assertEquals(
        RopeAdvisor.choose(facts, 2048, false, true).scaling(),
        new Dynamic(Dynamic.Family.AUTO).at(1500, facts, true));
  }
}
