package dev.gatun.eval;

import dev.gatun.rope.FactorTable;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;

/**
 * Evolution of factor tables: ask for a table, tell what it is worth. The first generation are the
 * given tables and mutations of them; each later one is half mutations and half crossovers of the
 * best tables so far.
 *
 * <p>Source: Ding et al., "LongRoPE: Extending LLM Context Window Beyond 2 Million Tokens", 2024,
 * section 3.2, algorithm 1; without the search for the number of leading tokens that are not
 * scaled, which a table cannot say.
 */
final class TableEvolution {
  /**
   * A table and what it is worth.
   *
   * @param table the table
   * @param perplexity lower is better
   */
  record Scored(FactorTable table, double perplexity) {}

  /** Children that may be known before one that is known is taken. */
  private static final int TRIES = 20;

  private final int population;
  private final int parents;
  private final RandomGenerator random;
  private final TableVariation variation;
  private final List<Scored> scored = new ArrayList<>();
  private final Set<FactorTable> known = new HashSet<>();
  private final Deque<FactorTable> waiting = new ArrayDeque<>();
  private int generation;

  /**
   * Begins.
   *
   * @param first tables of the first generation, best known methods; at least one
   * @param stretch length over trained length, above 1
   * @param options population, parents and seed
   */
  TableEvolution(List<FactorTable> first, double stretch, RopeSearchOptions options) {
    this.population = options.population();
    this.parents = options.parents();
    this.random = new SplittableRandom(options.seed());
    this.variation = new TableVariation(stretch, random);
    for (FactorTable table : first) {
      if (known.add(table)) {
        waiting.add(table);
      }
    }
    for (int i = 0; waiting.size() < population; i++) {
      FactorTable parent = first.get(i % first.size());
      waiting.add(unknown(() -> variation.mutated(parent)));
    }
  }

  /** Returns the next table to be measured. */
  FactorTable next() {
    if (waiting.isEmpty()) {
      generation++;
      breed();
    }
    return waiting.remove();
  }

  /** Tells what a table from {@link #next} is worth. */
  void tell(FactorTable table, double perplexity) {
    scored.add(new Scored(table, perplexity));
  }

  /** Returns the best table so far; there must be one. */
  Scored best() {
    return ranked().getFirst();
  }

  /** Returns how many generations have come after the first. */
  int generation() {
    return generation;
  }

  private void breed() {
    List<Scored> ranked = ranked();
    List<Scored> best = ranked.subList(0, Math.min(parents, ranked.size()));
    for (int i = 0; i < population; i++) {
      boolean cross = i % 2 == 1 && best.size() > 1;
      waiting.add(unknown(() -> cross ? crossed(best) : variation.mutated(any(best))));
    }
  }

  private FactorTable crossed(List<Scored> best) {
    int first = random.nextInt(best.size());
    int second = (first + 1 + random.nextInt(best.size() - 1)) % best.size();
    return variation.crossed(best.get(first).table(), best.get(second).table());
  }

  private FactorTable any(List<Scored> best) {
    return best.get(random.nextInt(best.size())).table();
  }

  private FactorTable unknown(Supplier<FactorTable> maker) {
    FactorTable table = maker.get();
    for (int i = 0; i < TRIES && !known.add(table); i++) {
      table = maker.get();
    }
    return table;
  }

  /** The best first; not a number is worst, and of equals the older one is better. */
  private List<Scored> ranked() {
    List<Scored> ranked = new ArrayList<>(scored);
    ranked.sort(Comparator.comparingDouble(Scored::perplexity));
    return ranked;
  }
}
