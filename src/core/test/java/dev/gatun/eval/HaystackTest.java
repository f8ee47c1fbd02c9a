package dev.gatun.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.TestModels;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.ToIntFunction;
import org.junit.jupiter.api.Test;

class HaystackTest {
  private static final String FACT = "The pass key of Mira is 48213.";

  /** A stand-in for a tokenizer: each word costs one token for each four letters. */
  private static final ToIntFunction<String> COUNT =
      text -> {
        int tokens = 0;
        for (String word : text.split("\\s+")) {
          tokens += (word.length() + 3) / 4;
        }
        return tokens;
      };

  private static String prose() throws Exception {
    return Files.readString(TestModels.heldout());
  }

  @Test
  void prompts_haveExactlyTheTokensAskedFor() throws Exception {
    Haystack haystack = new Haystack(prose(), COUNT);
    SplittableRandom random = new SplittableRandom(1);
    for (int tokens = 40; tokens < 3000; tokens = tokens * 5 / 4) {
      String prompt =
          haystack.prompt(
              tokens,
              "<user> ",
              List.of(new Haystack.Needle(FACT, random.nextDouble())),
              "\nWhat?",
              random);
      assertEquals(tokens, COUNT.applyAsInt(prompt));
      assertTrue(prompt.startsWith("<user> ") && prompt.endsWith("\nWhat?"), prompt);
      assertEquals(prompt.indexOf(FACT), prompt.lastIndexOf(FACT));
      assertTrue(prompt.contains(FACT), prompt);
    }
  }

  @Test
  void depth_isWhereTheFactStands_betweenSentences() throws Exception {
    Haystack haystack = new Haystack(prose(), COUNT);
    for (double depth : new double[] {0, 0.25, 0.5, 0.75, 1}) {
      String prompt =
          haystack.prompt(
              2000, "", List.of(new Haystack.Needle(FACT, depth)), "", new SplittableRandom(7));
      int at = prompt.indexOf(FACT);
      assertEquals(depth, (double) at / (prompt.length() - FACT.length()), 0.05);
      if (at > 0) {
        assertTrue(
            prompt.substring(0, at).matches("(?s).*[.!?][\"')]*\\s"), prompt.substring(0, at));
      }
    }
  }

  @Test
  void severalFacts_standInTheOrderOfTheirDepths() throws Exception {
    Haystack haystack = new Haystack(prose(), COUNT);
    List<Haystack.Needle> needles = new ArrayList<>();
    for (int i = 9; i >= 0; i--) {
      needles.add(new Haystack.Needle("Fact number " + i + ".", i / 9.0));
    }
    String prompt = haystack.prompt(1500, "", needles, "", new SplittableRandom(3));
    List<Integer> places = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      places.add(prompt.indexOf("Fact number " + i + "."));
    }
    assertTrue(places.getFirst() >= 0, places.toString());
    assertEquals(places.stream().sorted().distinct().toList(), places);
  }

  @Test
  void sameSeed_samePrompt_anotherSeed_another() throws Exception {
    Haystack haystack = new Haystack(prose(), COUNT);
    List<Haystack.Needle> needles = List.of(new Haystack.Needle(FACT, 0.5));
    String first = haystack.prompt(500, "", needles, "", new SplittableRandom(11));
    assertEquals(first, haystack.prompt(500, "", needles, "", new SplittableRandom(11)));
    assertTrue(!first.equals(haystack.prompt(500, "", needles, "", new SplittableRandom(12))));
  }

  @Test
  void sentenceEnds_skipAbbreviations_andKeepQuotes() {
    String text = "Mr. Elliot came. \"Who?\" she asked. Nobody! It was 3.5 miles. End";
    List<String> sentences = new ArrayList<>();
    int from = 0;
    for (int end : Haystack.sentenceEnds(text)) {
      sentences.add(text.substring(from, end).strip());
      from = end;
    }
    assertEquals(
        List.of("Mr. Elliot came.", "\"Who?\" she asked.", "Nobody!", "It was 3.5 miles."),
        sentences);
  }

  @Test
  void tooShortTexts_andTooShortLengths_areRefused() throws Exception {
    List<Haystack.Needle> needles = List.of(new Haystack.Needle(FACT, 0.5));
    Haystack haystack = new Haystack(prose().substring(0, 4000), COUNT);
    assertThrows(
        IllegalArgumentException.class,
        () -> haystack.prompt(5000, "", needles, "", new SplittableRandom(1)));
    assertThrows(
        IllegalArgumentException.class,
        () -> haystack.prompt(5, "", needles, "", new SplittableRandom(1)));
    assertThrows(IllegalArgumentException.class, () -> new Haystack("no sentence in here", COUNT));
  }

  @Test
  void facts_areDifferent_andOfTheKindsInTurn() {
    List<FactKind> kinds = List.of(FactKind.values());
    SplittableRandom random = new SplittableRandom(5);
    List<Fact> facts = Facts.draw(kinds, Facts.MOST, Wording.defaults(), random);
    assertEquals(Facts.MOST, facts.stream().map(Fact::question).distinct().count());
    assertTrue(facts.get(0).sentence().endsWith("Remember it."), facts.get(0).sentence());
    assertTrue(facts.get(0).answer().matches("[1-9][0-9]{4}"), facts.get(0).answer());
    assertTrue(facts.get(1).question().startsWith("Where is the "), facts.get(1).question());
    for (Fact fact : facts) {
      assertTrue(fact.isIn(fact.sentence()), fact.toString());
    }
    assertEquals(
        Collections.nCopies(3, true),
        Facts.draw(List.of(FactKind.WORK), 3, Wording.defaults(), random).stream()
            .map(fact -> fact.sentence().contains(" works as a "))
            .toList());
  }
}
