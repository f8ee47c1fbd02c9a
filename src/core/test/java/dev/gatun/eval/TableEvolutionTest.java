package dev.gatun.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.rope.FactorTable;
import dev.gatun.rope.RopeBasis;
import dev.gatun.rope.RopeScaling;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import org.junit.jupiter.api.Test;

class TableEvolutionTest {
  private static final RopeBasis BASIS = new RopeBasis(32, 195, 256, 7.3, 1);
  private static final List<FactorTable> FIRST =
      List.of(
          FactorTable.of(RopeScaling.linear(4).rotation(BASIS)),
          FactorTable.of(RopeScaling.yarn(4).rotation(BASIS)));

  /** What is searched: a table between the two that begin. */
  private static final FactorTable GOAL = FactorTable.of(RopeScaling.ntkAware(3).rotation(BASIS));

  private static final RopeSearchOptions OPTIONS = RopeSearchOptions.of(1024).withPopulation(10);

  private static double distance(FactorTable table) {
    double sum = Math.pow(Math.log(table.attentionFactor()), 2);
    for (int i = 0; i < table.factors().size(); i++) {
      sum += Math.pow(Math.log(table.factors().get(i) / GOAL.factors().get(i)), 2);
    }
    return sum;
  }

  private static List<FactorTable> run(RopeSearchOptions options, int evaluations) {
    TableEvolution evolution = new TableEvolution(FIRST, 4, options);
    List<FactorTable> tables = new ArrayList<>();
    for (int i = 0; i < evaluations; i++) {
      FactorTable table = evolution.next();
      tables.add(table);
      evolution.tell(table, distance(table));
    }
    double least = tables.stream().mapToDouble(TableEvolutionTest::distance).min().orElseThrow();
    assertEquals(least, evolution.best().perplexity());
    assertEquals((evaluations - 1) / options.population(), evolution.generation());
    return tables;
  }

  @Test
  void theSameSeed_givesTheSameTables() {
    assertEquals(run(OPTIONS, 60), run(OPTIONS, 60));
    assertNotEquals(run(OPTIONS, 60), run(OPTIONS.withSeed(2), 60));
  }

  @Test
  void theGivenTablesComeFirst_andNoneTwice() {
    List<FactorTable> tables = run(OPTIONS, 200);
    assertEquals(FIRST, tables.subList(0, FIRST.size()));
    assertEquals(tables.size(), new HashSet<>(tables).size());
  }

  @Test
  void itComesNear() {
    List<FactorTable> tables = run(OPTIONS, 1_000);
    double before = FIRST.stream().mapToDouble(TableEvolutionTest::distance).min().orElseThrow();
    double after = tables.stream().mapToDouble(TableEvolutionTest::distance).min().orElseThrow();
    assertTrue(after < before / 10, before + " to " + after);
  }

  @Test
  void whatIsNotANumber_isNeverTheBest() {
    TableEvolution evolution = new TableEvolution(FIRST, 4, OPTIONS);
    FactorTable first = evolution.next();
    evolution.tell(first, Double.NaN);
    FactorTable second = evolution.next();
    evolution.tell(second, Double.POSITIVE_INFINITY);
    assertEquals(second, evolution.best().table());
  }

  @Test
  void options_refuseWhatMakesNoSense() {
    List<Runnable> wrong =
        List.of(
            () -> RopeSearchOptions.of(3),
            () -> OPTIONS.withEvaluations(3),
            () -> OPTIONS.withPopulation(3),
            () -> OPTIONS.withParents(1),
            () -> OPTIONS.withWindows(0),
            () -> OPTIONS.withHeldOutWindows(0),
            () -> OPTIONS.withSearchShare(0),
            () -> OPTIONS.withSearchShare(1),
            () -> OPTIONS.withSearchShare(Double.NaN),
            () -> OPTIONS.withScoring(Scoring.sliding(8)));
    wrong.forEach(attempt -> assertThrows(IllegalArgumentException.class, attempt::run));
  }
}
