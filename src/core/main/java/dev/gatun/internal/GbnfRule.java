package dev.gatun.internal;

import dev.gatun.error.GrammarException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A rule of a grammar as far as recursion is concerned: what its alternates may begin with. */
final class GbnfRule {
  /** A symbol that stands for at least one character. */
  static final int TERMINAL = -1;

  /** The separator of alternates. */
  private static final int OR = -2;

  /** How many rules may stand at each other's beginning: the native check recurses so deep. */
  static final long MAX_DEPTH = 1000;

  /** How many steps the native check may take: it visits shared rules again and again. */
  static final long MAX_STEPS = 10_000_000;

  private int[] items = new int[8];
  private int size;
  private String name = "";
  private boolean defined;
  private long levels = 1;

  private boolean nullable;
  private long depth;
  private long steps;

  /** Begins the definition; a second one replaces the first, as in the native parser. */
  GbnfRule define(String ruleName) {
    name = ruleName;
    defined = true;
    size = 0;
    return this;
  }

  boolean isDefined() {
    return defined;
  }

  int length() {
    return size;
  }

  void beginAlternate() {
    add(OR);
  }

  void add(int symbol) {
    if (size == items.length) {
      items = Arrays.copyOf(items, 2 * size);
    }
    items[size++] = symbol;
  }

  void addAll(int[] symbols) {
    for (int symbol : symbols) {
      add(symbol);
    }
  }

  int[] removeFrom(int start) {
    int[] removed = Arrays.copyOfRange(items, start, size);
    size = start;
    return removed;
  }

  /**
   * Says that the native parser makes so many rules of this kind, each of which begins like the
   * next.
   */
  void levels(long count) {
    levels = count;
  }

  /**
   * Refuses rules that can begin with themselves, and rules whose beginnings are too deep or too
   * many.
   *
   * @throws GrammarException if there are such
   */
  static void checkRecursion(List<GbnfRule> rules) {
    findNullable(rules);
    int[] state = new int[rules.size()];
    long steps = 0;
    for (int i = 0; i < rules.size(); i++) {
      visit(rules, i, state);
      steps += rules.get(i).steps * Math.max(1, rules.get(i).levels / 2);
    }
    if (steps > MAX_STEPS) {
      throw new GrammarException(
          ("the grammar's rules begin with each other in %,d ways, more than the %,d that "
                  + "can be checked; make it simpler")
              .formatted(steps, MAX_STEPS));
    }
  }

  private static void findNullable(List<GbnfRule> rules) {
    boolean changed = true;
    for (int round = 0; changed; round++) {
      if (round > MAX_DEPTH) {
        throw new GrammarException(
            "the grammar's rules depend on each other more than %,d deep; make it simpler"
                .formatted(MAX_DEPTH));
      }
      changed = false;
      for (int i = rules.size() - 1; i >= 0; i--) {
        GbnfRule rule = rules.get(i);
        if (!rule.nullable && rule.hasEmptyAlternate(rules)) {
          rule.nullable = true;
          changed = true;
        }
      }
    }
  }

  private boolean hasEmptyAlternate(List<GbnfRule> rules) {
    boolean empty = true;
    for (int i = 0; i < size; i++) {
      if (items[i] == OR) {
        if (empty) {
          return true;
        }
        empty = true;
      } else if (empty) {
        empty = items[i] != TERMINAL && rules.get(items[i]).nullable;
      }
    }
    return empty;
  }

  private int[] beginnings(List<GbnfRule> rules) {
    int[] found = new int[size];
    int count = 0;
    boolean start = true;
    for (int i = 0; i < size; i++) {
      if (items[i] == OR) {
        start = true;
      } else if (start) {
        if (items[i] != TERMINAL) {
          found[count++] = items[i];
        }
        start = items[i] != TERMINAL && rules.get(items[i]).nullable;
      }
    }
    return Arrays.copyOf(found, count);
  }

  /** One rule on the way from a rule to what it begins with. */
  private static final class Step {
    final int rule;
    final int[] next;
    int done;

    Step(int rule, int[] next) {
      this.rule = rule;
      this.next = next;
    }
  }

  private static void visit(List<GbnfRule> rules, int first, int[] state) {
    List<Step> way = new ArrayList<>();
    enter(rules, first, state, way);
    while (!way.isEmpty()) {
      Step step = way.getLast();
      if (step.done == step.next.length) {
        way.removeLast();
        state[step.rule] = 2;
        rules.get(step.rule).measure(rules, step.next);
      } else {
        enter(rules, step.next[step.done++], state, way);
      }
    }
  }

  private static void enter(List<GbnfRule> rules, int id, int[] state, List<Step> way) {
    if (state[id] == 2) {
      return;
    }
    if (state[id] == 1) {
      throw new GrammarException(
          ("the grammar's rule '%s' can begin with itself, which is not supported; write "
                  + "the recursion at the end of the rule, or use * and +")
              .formatted(nameInCycle(rules, id, way)));
    }
    state[id] = 1;
    way.add(new Step(id, rules.get(id).beginnings(rules)));
  }

  /** Prefers a rule that the author named to one that a group or a repetition made. */
  private static String nameInCycle(List<GbnfRule> rules, int id, List<Step> way) {
    for (int i = way.size() - 1; i >= 0; i--) {
      String candidate = rules.get(way.get(i).rule).name;
      if (!candidate.startsWith("(")) {
        return candidate;
      }
      if (way.get(i).rule == id) {
        break;
      }
    }
    return rules.get(way.getFirst().rule).name;
  }

  private void measure(List<GbnfRule> rules, int[] next) {
    long deepest = 0;
    long sum = 1;
    boolean again = false;
    for (int id : next) {
      GbnfRule other = rules.get(id);
      deepest = Math.max(deepest, other.depth);
      sum = Math.min(MAX_STEPS + 1, sum + other.steps);
      again |= other.nullable;
    }
    depth = deepest + (again ? levels : 1);
    steps = Math.min(MAX_STEPS + 1, sum * (again ? levels : 1));
    if (depth > MAX_DEPTH) {
      throw new GrammarException(
          ("the grammar's rule '%s' begins with rules that begin with rules, more than "
                  + "%,d deep; make it simpler")
              .formatted(name, MAX_DEPTH));
    }
  }
}
