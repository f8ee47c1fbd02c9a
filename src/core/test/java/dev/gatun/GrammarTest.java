package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.error.GrammarException;
import dev.gatun.internal.NativeSampler;
import dev.gatun.json.Json;
import dev.gatun.sampling.Grammar;
import dev.gatun.sampling.Sampler;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Model tier: grammars and JSON schemas on the tiny model. */
class GrammarTest {
  private static final String PERSON =
      """
      {"type": "object",
       "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 8},
                      "age": {"type": "integer", "minimum": 0, "maximum": 150},
                      "kind": {"enum": ["cat", "dog"]}},
       "required": ["name", "age", "kind"], "additionalProperties": false}
      """;

  private static LlamaModel model;
  private static LlamaContext context;
  private LlamaSession session;

  @BeforeAll
  static void load() {
    model = LlamaModel.load(TestModels.tiny());
    context = model.newContext(ContextOptions.defaults().withContextTokens(256));
  }

  @AfterAll
  static void unload() {
    context.close();
    model.close();
  }

  @BeforeEach
  void open() {
    session = context.newSession();
  }

  @AfterEach
  void close() {
    session.close();
  }

  private record Result(String text, StopReason reason) {}

  private Result generate(int most, Sampler... samplers) {
    session.clear();
    try (Generation generation =
        session.generate(
            "The answer is ",
            GenerationOptions.defaults()
                .withSampler(Sampler.chain(samplers))
                .withMaxTokens(most))) {
      String text = generation.text();
      return new Result(text, generation.stopReason().orElseThrow());
    }
  }

  @Test
  void aJsonSchemaGivesAJsonTextOfItsShape() {
    for (long seed = 1; seed <= 5; seed++) {
      Result result =
          generate(
              200,
              Sampler.grammar(Grammar.jsonSchema(PERSON)),
              Sampler.temperature(2f),
              Sampler.dist(seed));
      assertEquals(StopReason.END_OF_GENERATION, result.reason(), result.text());
      Map<String, Object> person = Json.parseObject(result.text());
      assertEquals(Set.of("name", "age", "kind"), person.keySet());
      long age = (Long) person.get("age");
      assertTrue(age >= 0 && age <= 150, result.text());
      assertTrue(Set.of("cat", "dog").contains((String) person.get("kind")), result.text());
    }
  }

  @Test
  void anyPlaceInTheChainHolds() {
    Grammar grammar = Grammar.gbnf("root ::= (\"yes\" | \"no\") \"!\"");
    for (List<? extends Sampler> chain :
        List.of(
            List.of(Sampler.grammar(grammar), Sampler.greedy()),
            List.of(Sampler.grammar(grammar), Sampler.defaults(4)),
            List.of(Sampler.logitBias(Map.of(5, 1f)), Sampler.grammar(grammar), Sampler.dist(4)),
            List.of(Sampler.temperature(3f), Sampler.grammar(grammar), Sampler.dist(4)),
            List.of(Sampler.grammar(grammar), Sampler.grammar(grammar), Sampler.dist(4)),
            List.of(Sampler.grammar(grammar), Sampler.mirostatV2(4, 5f, 0.1f)),
            List.of(Sampler.grammar(grammar), Sampler.adaptiveP(0.5f, 0.9f, 4)))) {
      Result result = generate(20, chain.toArray(Sampler[]::new));
      assertTrue(Set.of("yes!", "no!").contains(result.text()), chain + ": " + result);
      assertEquals(StopReason.END_OF_GENERATION, result.reason());
    }
  }

  @Test
  void charactersBeyondAsciiAndSplitOverTokensHold() {
    Grammar grammar = Grammar.gbnf("root ::= \"漢字\" [é-ü] \"\\U0001F600\"");
    for (long seed = 1; seed < 6; seed++) {
      String text = generate(40, Sampler.grammar(grammar), Sampler.dist(seed)).text();
      assertTrue(text.matches("漢字[é-ü]😀"), text);
    }
  }

  @Test
  void aFrontGrammarChangesNothingThatItAllows() {
    Grammar anything = Grammar.gbnf("root ::= [^\\x00]*");
    assertEquals(
        generate(30, Sampler.defaults(9)),
        generate(30, Sampler.grammar(anything), Sampler.defaults(9)));
  }

  @Test
  void whenNothingIsAllowedThereIsAnError_notAnAbort() {
    Grammar grammar = Grammar.gbnf("root ::= \"é\"");
    Sampler onlyEnd =
        Sampler.custom(
            "ends",
            c -> {
              for (int i = 0; i < c.size(); i++) {
                c.setLogit(i, c.token(i) == 2 ? 9f : Float.NEGATIVE_INFINITY);
              }
            });
    Sampler revives =
        Sampler.custom(
            "revives",
            c -> {
              for (int i = 0; i < c.size(); i++) {
                c.setLogit(i, c.token(i) == 2 ? 9f : 0f);
              }
            });
    Sampler hold = Sampler.grammar(grammar);
    for (List<? extends Sampler> chain :
        List.of(
            List.of(onlyEnd, hold, Sampler.greedy()),
            List.of(hold, onlyEnd, Sampler.greedy()),
            List.of(hold, revives, Sampler.greedy()),
            List.of(Sampler.topK(2000), hold, revives, Sampler.greedy()),
            List.of(Sampler.topK(1), hold, Sampler.greedy()),
            List.of(Sampler.topK(1), hold, Sampler.dist(1)),
            List.of(onlyEnd, hold, Sampler.infill(), Sampler.dist(1)))) {
      GrammarException e =
          assertThrows(GrammarException.class, () -> generate(5, chain.toArray(Sampler[]::new)));
      assertTrue(e.getMessage().contains("allows none"), e.getMessage());
    }
    assertFalse(generate(3, Sampler.greedy()).text().isEmpty());
  }

  @Test
  void aCompleteGrammarThatMayNotEndIsAnError() {
    session.clear();
    GenerationOptions options =
        GenerationOptions.defaults()
            .withSampler(
                Sampler.chain(Sampler.grammar(Grammar.gbnf("root ::= \"a\"")), Sampler.greedy()))
            .withIgnoreEndOfGeneration(true)
            .withMaxTokens(10);
    try (Generation generation = session.generate("x", options)) {
      assertThrows(GrammarException.class, generation::text);
    }
  }

  @Test
  void aWrongGrammarSaysWhere() {
    GrammarException e =
        assertThrows(
            GrammarException.class,
            () ->
                generate(1, Sampler.grammar(Grammar.gbnf("root ::= \"a\n\n x")), Sampler.greedy()));
    assertTrue(e.getMessage().contains("line 3, column 3"), e.getMessage());
  }

  @Test
  void aTokenOutsideTheVocabularyInAGrammarIsNamedByTheNativeParser() {
    GrammarException e =
        assertThrows(
            GrammarException.class,
            () ->
                generate(
                    1,
                    Sampler.grammar(Grammar.gbnf("root ::= <no such token>")),
                    Sampler.greedy()));
    assertTrue(e.getMessage().contains("no such token"), e.getMessage());
  }

  @Test
  void wrongSchemasAreTypedErrors() {
    for (String schema :
        List.of(
            "",
            "{",
            "{\"type\": 7}",
            "{\"$ref\": \"#/nowhere\"}",
            "{\"type\": \"object\", \"properties\": 5}",
            "{\"type\": \"string\", \"minLength\": 5, \"maxLength\": 2}",
            "{\"type\": \"array\", \"minItems\": 1000000000}",
            "{\"$defs\": {\"a\": {\"$ref\": \"#/$defs/b\"}, \"b\": {\"$ref\": \"#/$defs/a\"}},"
                + " \"$ref\": \"#/$defs/a\"}",
            "[".repeat(100_000))) {
      assertThrows(
          GrammarException.class,
          () -> generate(1, Sampler.grammar(Grammar.jsonSchema(schema)), Sampler.greedy()),
          schema.substring(0, Math.min(40, schema.length())));
    }
  }

  @Test
  void aDeepSchemaIsNoStackOverflow() {
    String deep = "{\"type\":\"array\",\"items\":".repeat(99) + "{}" + "}".repeat(99);
    assertTrue(
        generate(5, Sampler.grammar(Grammar.jsonSchema(deep)), Sampler.greedy())
            .text()
            .stripLeading()
            .startsWith("["));
  }

  @Test
  void aLazyGrammarHoldsFromItsTriggerOn() {
    Grammar call = Grammar.gbnf("root ::= \"@call \" [0-9]{3} \";\"");
    Grammar byWord = Grammar.lazy(call, "@call");
    int[] trigger = model.tokenizer().encode("@call");
    AtomicInteger step = new AtomicInteger();
    Sampler force =
        Sampler.custom(
            "forces the trigger at the fourth token",
            c -> {
              int index = step.getAndIncrement() - 3;
              if (index >= 0 && index < trigger.length) {
                for (int i = 0; i < c.size(); i++) {
                  c.setLogit(i, c.token(i) == trigger[index] ? 0f : Float.NEGATIVE_INFINITY);
                }
              }
            });
    Result result = generate(60, Sampler.grammar(byWord), force, Sampler.dist(3));
    assertTrue(result.text().matches("(?s).+@call [0-9]{3};"), result.text());
    assertEquals(StopReason.END_OF_GENERATION, result.reason());

    step.set(0);
    Grammar byToken = new Grammar.Lazy(call, List.of(), Set.of(trigger[0]));
    assertTrue(
        generate(60, Sampler.grammar(byToken), force, Sampler.dist(3))
            .text()
            .matches("(?s).+@call [0-9]{3};"));
  }

  @Test
  void aTriggerThatDoesNotFitTheGrammarIsAnError_alsoAfterwards() {
    try (NativeSampler sampler =
        NativeSampler.create(
            model.nativeModel(),
            Sampler.chain(
                Sampler.grammar(Grammar.lazy(Grammar.gbnf("root ::= \"b\""), "a")),
                Sampler.greedy()))) {
      int a = model.tokenizer().encode("a")[0];
      assertThrows(GrammarException.class, () -> sampler.accept(a));
      assertThrows(GrammarException.class, () -> sampler.accept(a));
      assertThrows(
          GrammarException.class, () -> sampler.sample(session.nativeContext().handle(), -1));
      sampler.reset();
      int b = model.tokenizer().encode("b")[0];
      sampler.accept(b);
    }
  }

  @Test
  void acceptRefusesWhatTheGrammarDoesNotAllow_andResetGoesBack() {
    try (NativeSampler sampler =
        NativeSampler.create(
            model.nativeModel(),
            Sampler.chain(
                Sampler.topK(2_048),
                Sampler.grammar(Grammar.gbnf("root ::= \"ab\"")),
                Sampler.greedy()))) {
      int a = model.tokenizer().encode("a")[0];
      int b = model.tokenizer().encode("b")[0];
      for (int round = 0; round < 2; round++) {
        assertThrows(GrammarException.class, () -> sampler.accept(b));
        assertThrows(GrammarException.class, () -> sampler.accept(2));
        sampler.accept(a);
        assertThrows(GrammarException.class, () -> sampler.accept(a));
        sampler.accept(b);
        sampler.accept(2);
        sampler.reset();
      }
      assertThrows(IndexOutOfBoundsException.class, () -> sampler.accept(-1));
      assertThrows(IndexOutOfBoundsException.class, () -> sampler.accept(2_048));
    }
  }

  /** The native parser and its stacks must survive what the checker lets through. */
  @Test
  void randomGrammarsAreRefusedOrWork() {
    Random random = new Random(77);
    String[] parts = {
      "\"a\"",
      "\"bc\"",
      "[a-z]",
      "[^a]",
      ".",
      "x",
      "y",
      "root",
      "(",
      ")",
      "|",
      "*",
      "+",
      "?",
      "{2}",
      "{0,3}",
      "{2,}",
      "\n x ::= ",
      "\n y ::= ",
      "<[5]>",
      "!<[6]>",
      "\"\"",
      "\"\\n\"",
      "[é-ü]",
      " "
    };
    int good = 0;
    for (int round = 0; round < 3_000; round++) {
      StringBuilder source = new StringBuilder("root ::= ");
      for (int i = 1 + random.nextInt(12); i > 0; i--) {
        source.append(parts[random.nextInt(parts.length)]).append(' ');
      }
      source.append("\nx ::= \"x\" y?\ny ::= [0-9] | \"y\" x\n");
      try (NativeSampler sampler =
          NativeSampler.create(
              model.nativeModel(),
              Sampler.chain(Sampler.grammar(Grammar.gbnf(source.toString())), Sampler.greedy()))) {
        good++;
        for (int i = 0; i < 20; i++) {
          try {
            sampler.accept(random.nextInt(model.tokenizer().size()));
          } catch (GrammarException e) {
            assertTrue(e.getMessage().contains("grammar"), e.getMessage());
          }
        }
        sampler.reset();
      } catch (GrammarException e) {
        assertFalse(e.getMessage().isEmpty());
      }
    }
    assertTrue(good > 300, "only " + good + " grammars were good");
  }
}
