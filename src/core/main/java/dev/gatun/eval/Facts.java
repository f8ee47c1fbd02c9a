package dev.gatun.eval;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.random.RandomGenerator;

/** Draws facts in the words that the built-in model was trained with. */
final class Facts {
  private static final List<String> NAMES =
      words(
          "Mira Oskar Lena Tomas Ada Felix Nora Hugo Iris Jonas Clara Anton Vera Emil Rosa Karl"
              + " Dora Leon Edith Paul Greta Simon Olga Martin Alma Victor Ella Walter Judith"
              + " Bruno");
  private static final List<String> MATERIALS =
      words("brass silver copper iron golden wooden glass paper");
  private static final List<String> THINGS =
      words("key ring coin letter map lamp bell book knife mirror button thimble");
  private static final List<String> COLOURS =
      words("blue red green yellow white black grey purple");
  private static final List<String> PLACES =
      words("box drawer basket trunk cupboard jar pocket chest desk bag shelf kettle");
  private static final List<String> TOWNS =
      words("Bath London Lyme Oxford Dover Bristol Exeter York Kent Surrey Norfolk Derby");
  private static final List<String> WORK =
      words(
          "baker sailor teacher doctor painter gardener clerk tailor miller printer surgeon"
              + " weaver");

  /** The most facts in one text: each has a name of its own. */
  static final int MOST = 30;

  private Facts() {}

  /**
   * Draws facts about different people and things.
   *
   * @param kinds kinds, taken in turn
   * @param count how many, at most {@link #MOST}
   * @param wording how pass keys are put
   * @param random where chance comes from
   */
  static List<Fact> draw(List<FactKind> kinds, int count, Wording wording, RandomGenerator random) {
    List<String> names = new ArrayList<>(NAMES);
    Collections.shuffle(names, random);
    List<String> things = new ArrayList<>();
    for (String material : MATERIALS) {
      for (String thing : THINGS) {
        things.add(material + ' ' + thing);
      }
    }
    Collections.shuffle(things, random);
    List<Fact> facts = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      facts.add(fact(kinds.get(i % kinds.size()), names.get(i), things.get(i), wording, random));
    }
    return facts;
  }

  /** The most facts of all kinds together whose questions have one answer each. */
  static final int MOST_DISTINCT = 120;

  /**
   * Draws facts of all kinds in turn, of which each question has one answer: no name comes twice
   * within a kind, but a person may have a pass key, a town and work.
   *
   * @param count how many, at most {@link #MOST_DISTINCT}
   * @param random where chance comes from
   */
  static List<Fact> drawDistinct(int count, RandomGenerator random) {
    FactKind[] kinds = FactKind.values();
    List<List<Fact>> byKind = new ArrayList<>();
    for (FactKind kind : kinds) {
      byKind.add(draw(List.of(kind), MOST, Wording.defaults(), random));
    }
    List<Fact> facts = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      facts.add(byKind.get(i % kinds.length).get(i / kinds.length));
    }
    return facts;
  }

  private static Fact fact(
      FactKind kind, String name, String thing, Wording wording, RandomGenerator random) {
    return switch (kind) {
      case PASS_KEY -> {
        String key = Integer.toString(10_000 + random.nextInt(90_000));
        yield new Fact(wording.sentence(name, key), wording.question(name), key);
      }
      case PLACE -> {
        String place = one(COLOURS, random) + ' ' + one(PLACES, random);
        yield new Fact(
            name + " put the " + thing + " in the " + place + ".",
            "Where is the " + thing + "?",
            place);
      }
      case TOWN -> {
        String town = one(TOWNS, random);
        yield new Fact(name + " lives in " + town + ".", "Where does " + name + " live?", town);
      }
      case WORK -> {
        String work = one(WORK, random);
        yield new Fact(
            name + " works as a " + work + ".", "What is the work of " + name + "?", work);
      }
    };
  }

  private static String one(List<String> words, RandomGenerator random) {
    return words.get(random.nextInt(words.size()));
  }

  private static List<String> words(String text) {
    return Arrays.asList(text.split(" "));
  }
}
