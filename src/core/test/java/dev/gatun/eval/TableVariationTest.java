package dev.gatun.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.rope.FactorTable;
import dev.gatun.rope.RopeBasis;
import dev.gatun.rope.RopeScaling;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class TableVariationTest {
  private static final double STRETCH = 4;
  private static final RopeBasis BASIS = new RopeBasis(64, 195, 256, 7.3, 1);
  private static final FactorTable YARN = FactorTable.of(RopeScaling.yarn(STRETCH).rotation(BASIS));
  private static final FactorTable LINEAR =
      FactorTable.of(RopeScaling.linear(STRETCH).rotation(BASIS));

  private final TableVariation variation = new TableVariation(STRETCH, new SplittableRandom(3));

  private static void assertRules(FactorTable table) {
    assertEquals(BASIS.pairs(), table.factors().size());
    double before = 1;
    for (double factor : table.factors()) {
      assertTrue(factor >= before, table::toString);
      before = factor;
    }
    assertTrue(before <= 1.25 * STRETCH, table::toString);
    assertTrue(table.attentionFactor() >= 0.5 && table.attentionFactor() <= 2, table::toString);
  }

  @Test
  void mutations_keepOrderAndBounds_alsoAfterThousands() {
    FactorTable table = YARN;
    for (int i = 0; i < 5_000; i++) {
      FactorTable next = variation.mutated(table);
      assertRules(next);
      table = next;
    }
    assertNotEquals(YARN, table);
  }

  @Test
  void mutations_areSmallAndLarge_ofFactorsAndOfAttention() {
    int small = 0;
    int large = 0;
    int attention = 0;
    for (int i = 0; i < 1_000; i++) {
      FactorTable next = variation.mutated(LINEAR);
      double most =
          next.factors().stream()
              .mapToDouble(factor -> Math.abs(Math.log(factor / STRETCH)))
              .max()
              .orElseThrow();
      small += most < 0.1 ? 1 : 0;
      large += most > 0.3 ? 1 : 0;
      attention += next.attentionFactor() != 1 ? 1 : 0;
    }
    assertTrue(small > 200, "small " + small);
    assertTrue(large > 50, "large " + large);
    assertTrue(attention > 200 && attention < 400, "attention " + attention);
  }

  @Test
  void crossovers_takeEachFactorFromOneOfTheTwo() {
    FactorTable low = FactorTable.of(1, 1.1, 1.2, 1.3);
    FactorTable high = new FactorTable(List.of(2.0, 2.1, 2.2, 2.3), 1.5);
    Set<List<Double>> tables = new HashSet<>();
    Set<Double> attentions = new HashSet<>();
    for (int i = 0; i < 200; i++) {
      FactorTable child = variation.crossed(low, high);
      tables.add(child.factors().stream().map(f -> Math.round(f * 1e6) / 1e6).toList());
      attentions.add(Math.round(child.attentionFactor() * 1e6) / 1e6);
    }
    assertEquals(
        Set.of(
            List.of(1.0, 2.1, 2.2, 2.3), List.of(1.0, 1.1, 2.2, 2.3), List.of(1.0, 1.1, 1.2, 2.3)),
        tables);
    assertEquals(Set.of(1.0, 1.5), attentions);
  }

  @Test
  void crossovers_keepTheRules_whereTheTwoCross() {
    for (int i = 0; i < 200; i++) {
      assertRules(variation.crossed(LINEAR, YARN));
      assertRules(variation.crossed(YARN, LINEAR));
    }
  }
}
