package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.error.CallbackException;
import dev.gatun.sampling.CandidateFunction;
import dev.gatun.sampling.Candidates;
import dev.gatun.sampling.Dry;
import dev.gatun.sampling.Sampler;
import dev.gatun.sampling.SamplingParameters;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Model tier: every sampler on the tiny model. */
class SamplingTest {
  private static final String PROMPT = "It was a truth universally acknowledged, that the";
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

  private List<Integer> generate(Sampler sampler, int tokens) {
    session.clear();
    List<Integer> ids = new ArrayList<>();
    try (Generation generation =
        session.generate(
            PROMPT,
            GenerationOptions.defaults()
                .withSampler(sampler)
                .withMaxTokens(tokens)
                .withIgnoreEndOfGeneration(true))) {
      for (Piece piece : generation) {
        ids.add(piece.token());
      }
    }
    return ids;
  }

  static Stream<Sampler> chains() {
    Sampler dist = Sampler.dist(7);
    return Stream.of(
        Sampler.greedy(),
        dist,
        Sampler.chain(Sampler.topK(5), dist),
        Sampler.chain(Sampler.topK(Integer.MAX_VALUE), dist),
        Sampler.chain(Sampler.topP(0f), dist),
        Sampler.chain(Sampler.topP(0.9f), dist),
        Sampler.chain(Sampler.minP(1f), dist),
        Sampler.chain(Sampler.minP(0.05f), dist),
        Sampler.chain(Sampler.typical(0f), dist),
        Sampler.chain(Sampler.typical(0.5f), dist),
        Sampler.chain(Sampler.temperature(0f), dist),
        Sampler.chain(Sampler.temperature(1e-20f), dist),
        Sampler.chain(Sampler.temperature(1e30f), dist),
        Sampler.chain(Sampler.dynamicTemperature(1f, 1f, 0.5f), dist),
        Sampler.chain(Sampler.dynamicTemperature(0f, 5f, 0f), dist),
        Sampler.chain(Sampler.xtc(1f, 0.01f, 3), dist),
        Sampler.chain(Sampler.topNSigma(1f), dist),
        Sampler.chain(Sampler.topNSigma(1e-9f), dist),
        Sampler.mirostat(7, 5f, 0.1f),
        Sampler.mirostat(7, 1e-30f, 1e6f),
        Sampler.mirostatV2(7, 5f, 0.1f),
        Sampler.mirostatV2(7, 1e6f, 1e-30f),
        Sampler.chain(Sampler.topK(1), Sampler.mirostat(7, 5f, 0.1f)),
        Sampler.chain(Sampler.penalties(64, 1.5f, 0.5f, 0.5f), dist),
        Sampler.chain(Sampler.penalties(1 << 24, 1e6f, -1e6f, 1e6f), dist),
        Sampler.chain(Sampler.penalties(3, 1e-6f, 1e6f, -1e6f), dist),
        Sampler.chain(Sampler.dry(0.8f, 1.75f, 2, 64), dist),
        Sampler.chain(
            new Dry(1e6f, 1e6f, 0, 1000, List.of("\n", "é", "breaker of words 漢字")), dist),
        Sampler.adaptiveP(0.5f, 0.9f, 7),
        Sampler.adaptiveP(0f, 0f, 7),
        Sampler.adaptiveP(1f, 0.99f, 7),
        Sampler.chain(Sampler.logitBias(Map.of(100, 5f, 2_047, Float.NEGATIVE_INFINITY)), dist),
        Sampler.chain(Sampler.topK(40), Sampler.topP(0.9f), Sampler.infill(), dist),
        Sampler.chain(Sampler.topK(50), Sampler.infill(), Sampler.greedy()),
        Sampler.defaults(7),
        Sampler.defaults(Sampler.RANDOM_SEED),
        SamplingParameters.defaults()
            .withMinKeep(3)
            .withTopNSigma(2f)
            .withTypicalP(0.9f)
            .withXtcProbability(0.5f)
            .withRepeatPenalty(1.1f)
            .withDryMultiplier(0.8f)
            .withTemperatureRange(0.3f)
            .toSampler());
  }

  @ParameterizedTest
  @MethodSource("chains")
  void everySamplerBuildsAndSamples(Sampler sampler) {
    List<Integer> ids = generate(sampler, 40);
    assertEquals(40, ids.size());
    assertTrue(ids.stream().allMatch(id -> id >= 0 && id < model.tokenizer().size()));
  }

  private int argmax() {
    MemorySegment logits = session.logits();
    int best = 0;
    for (int i = 1; i < model.tokenizer().size(); i++) {
      if (logits.getAtIndex(ValueLayout.JAVA_FLOAT, i)
          > logits.getAtIndex(ValueLayout.JAVA_FLOAT, best)) {
        best = i;
      }
    }
    return best;
  }

  @Test
  void greedyIsTheLargestLogit_andSoAreItsEquivalents() {
    List<Integer> greedy = generate(Sampler.greedy(), 20);
    for (Sampler same :
        List.of(
            Sampler.chain(Sampler.topK(1), Sampler.dist(1)),
            Sampler.chain(Sampler.temperature(0f), Sampler.dist(2)),
            Sampler.chain(Sampler.minP(1f), Sampler.dist(3)),
            Sampler.chain(Sampler.topP(0f), Sampler.dist(4)))) {
      assertEquals(greedy, generate(same, 20), same.toString());
    }
    session.clear();
    session.append(PROMPT);
    Set<Integer> ends = new HashSet<>(model.tokenizer().endOfGenerationTokens());
    for (int token : greedy) {
      int best = argmax();
      assertTrue(best == token || ends.contains(best), best + " is not " + token);
      session.append(token);
    }
  }

  @Test
  void aSeedGivesTheSameText_anotherGivesAnother() {
    List<Integer> first = generate(Sampler.dist(1), 30);
    assertEquals(first, generate(Sampler.dist(1), 30));
    assertNotEquals(first, generate(Sampler.dist(2), 30));
    assertNotEquals(
        generate(Sampler.dist(Sampler.RANDOM_SEED), 30),
        generate(Sampler.dist(Sampler.RANDOM_SEED), 30));
  }

  @Test
  void aForbiddenTokenNeverComes_aFavouredOneAlways() {
    int favoured = model.tokenizer().encode("the")[0];
    assertEquals(
        Set.of(favoured),
        Set.copyOf(
            generate(
                Sampler.chain(Sampler.logitBias(Map.of(favoured, 1000f)), Sampler.dist(1)), 10)));
    List<Integer> greedy = generate(Sampler.greedy(), 10);
    int forbidden = greedy.getFirst();
    assertFalse(
        generate(
                Sampler.chain(
                    Sampler.logitBias(Map.of(forbidden, Float.NEGATIVE_INFINITY)),
                    Sampler.greedy()),
                30)
            .contains(forbidden));
  }

  @Test
  void penaltiesSeeThePrompt() {
    int token = generate(Sampler.greedy(), 1).getFirst();
    session.clear();
    session.append(PROMPT);
    session.append(token);
    session.truncate(session.position() - 1);
    // The model's first choice stands in the prompt now.
    try (Generation generation =
        session.generate(
            new int[] {token},
            GenerationOptions.defaults()
                .withMaxTokens(8)
                .withSampler(
                    Sampler.chain(Sampler.penalties(256, 1f, 0f, 1_000f), Sampler.greedy())))) {
      for (Piece piece : generation) {
        assertNotEquals(token, piece.token());
      }
    }
  }

  @Test
  void withoutASelectingEndTheChainIsRefused_andNamesIt() {
    for (Sampler wrong :
        List.of(
            Sampler.topK(3),
            Sampler.chain(),
            Sampler.chain(Sampler.greedy(), Sampler.topK(3)),
            Sampler.chain(Sampler.greedy(), Sampler.dist(1)))) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> generate(wrong, 1));
      assertTrue(e.getMessage().contains("select"), e.getMessage());
    }
  }

  @Test
  void aBiasOutsideTheVocabularyIsRefused() {
    Sampler wrong = Sampler.chain(Sampler.logitBias(Map.of(2_048, 1f)), Sampler.greedy());
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> generate(wrong, 1));
    assertTrue(e.getMessage().contains("2048"), e.getMessage());
  }

  @Test
  void aCustomSamplerSeesTheWholeVocabularyInPlace_andSelects() {
    AtomicInteger sizes = new AtomicInteger();
    List<Integer> accepted = new ArrayList<>();
    CandidateFunction second =
        new CandidateFunction() {
          @Override
          public void apply(Candidates c) {
            sizes.set(c.size());
            int best = 0;
            for (int i = 0; i < c.size(); i++) {
              assertEquals(i, c.token(i));
              if (c.logit(i) > c.logit(best)) {
                best = i;
              }
            }
            c.select(best);
          }

          @Override
          public void accept(int token) {
            accepted.add(token);
          }
        };
    List<Integer> ids = generate(Sampler.custom("argmax", second), 12);
    assertEquals(2_048, sizes.get());
    assertEquals(ids, accepted);
    assertEquals(generate(Sampler.greedy(), 12), ids);
  }

  @Test
  void aCustomSamplerMayFilterBeforeOthers() {
    List<Integer> ids =
        generate(
            Sampler.chain(
                Sampler.topK(10),
                Sampler.custom(
                    "last of ten",
                    c -> {
                      assertEquals(10, c.size());
                      assertTrue(c.isSorted());
                      c.softmax();
                      assertTrue(c.probability(0) >= c.probability(9));
                      c.swap(0, 9);
                      assertFalse(c.isSorted());
                      c.retain(1);
                      c.setLogit(0, 3f);
                    }),
                Sampler.greedy()),
            10);
    assertEquals(10, ids.size());
    assertNotEquals(generate(Sampler.greedy(), 10), ids);
  }

  @Test
  void whatACustomSamplerThrowsArrivesAsTheCause_andTheSessionLivesOn() {
    RuntimeException thrown = new RuntimeException("on purpose");
    Sampler wrong =
        Sampler.chain(
            Sampler.custom(
                "broken",
                c -> {
                  throw thrown;
                }),
            Sampler.greedy());
    CallbackException e = assertThrows(CallbackException.class, () -> generate(wrong, 3));
    assertSame(thrown, e.getCause());
    assertTrue(e.getMessage().contains("broken"));
    assertEquals(3, generate(Sampler.greedy(), 3).size());
  }

  @Test
  void misuseOfCandidatesIsRefused() {
    List<CandidateFunction> wrong =
        List.of(
            c -> c.select(c.size()),
            c -> c.select(-1),
            c -> c.token(c.size()),
            c -> c.logit(-1),
            c -> c.setLogit(0, Float.NaN),
            c -> c.setLogit(0, Float.POSITIVE_INFINITY),
            c -> c.retain(0),
            c -> c.retain(c.size() + 1),
            c -> c.swap(0, c.size()));
    for (CandidateFunction function : wrong) {
      Sampler sampler = Sampler.chain(Sampler.custom("wrong", function), Sampler.greedy());
      CallbackException e = assertThrows(CallbackException.class, () -> generate(sampler, 1));
      assertTrue(
          e.getCause() instanceof IndexOutOfBoundsException
              || e.getCause() instanceof IllegalArgumentException,
          e.toString());
    }
  }

  @Test
  void candidatesAreDeadAfterTheCall() {
    AtomicReference<Candidates> kept = new AtomicReference<>();
    generate(Sampler.chain(Sampler.custom("keeper", kept::set), Sampler.greedy()), 1);
    assertThrows(IllegalStateException.class, () -> kept.get().size());
    assertThrows(IllegalStateException.class, () -> kept.get().logit(0));
    assertThrows(IllegalStateException.class, () -> kept.get().select(0));
  }

  @Test
  void aCustomSamplerThatSelectsNothingIsAnError_notAnAbort() {
    assertThrows(IllegalStateException.class, () -> generate(Sampler.custom("idle", c -> {}), 1));
  }

  @Test
  void everyTokenForbiddenIsNoCrash() {
    Sampler none =
        Sampler.chain(
            Sampler.custom(
                "nothing",
                c -> {
                  for (int i = 0; i < c.size(); i++) {
                    c.setLogit(i, Float.NEGATIVE_INFINITY);
                  }
                }),
            Sampler.topK(40),
            Sampler.topP(0.9f),
            Sampler.minP(0.1f),
            Sampler.temperature(0.5f),
            Sampler.dist(1));
    assertEquals(3, generate(none, 3).size());
  }

  @Test
  void aCustomSamplerThatUsesItsOwnSessionOrClosesItGetsAnError() {
    List<CandidateFunction> wrong =
        List.of(
            c -> session.append("x"),
            c -> session.close(),
            c -> context.close(),
            c -> session.logits());
    for (CandidateFunction function : wrong) {
      Sampler sampler = Sampler.chain(Sampler.custom("own", function), Sampler.greedy());
      CallbackException e = assertThrows(CallbackException.class, () -> generate(sampler, 1));
      assertInstanceOf(IllegalStateException.class, e.getCause());
    }
  }

  @Test
  void aCustomSamplerMayUseAnotherContext() {
    try (LlamaContext other = model.newContext(ContextOptions.defaults().withContextTokens(64));
        LlamaSession inner = other.newSession()) {
      List<Integer> plain = generate(Sampler.defaults(3), 6);
      List<Integer> nested =
          generate(
              Sampler.chain(
                  Sampler.custom(
                      "guide",
                      c -> {
                        float before = c.logit(5);
                        inner.clear();
                        String text =
                            inner
                                .generate(
                                    "the",
                                    GenerationOptions.defaults()
                                        .withSampler(Sampler.greedy())
                                        .withMaxTokens(2))
                                .text();
                        assertFalse(text.isEmpty());
                        assertEquals(before, c.logit(5));
                      }),
                  Sampler.defaults(3)),
              6);
      assertEquals(plain, nested);
    }
  }
}
