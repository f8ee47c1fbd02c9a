package dev.gatun.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class SamplerTest {
  private static final float NAN = Float.NaN;
  private static final float INF = Float.POSITIVE_INFINITY;

  static Stream<Executable> wrong() {
    return Stream.of(
        () -> Sampler.dist(-1),
        () -> Sampler.dist(1L << 32),
        () -> Sampler.topK(-1),
        () -> Sampler.topP(NAN),
        () -> Sampler.topP(1.1f),
        () -> Sampler.topP(-0.1f),
        () -> new TopP(0.5f, -1),
        () -> Sampler.minP(NAN),
        () -> Sampler.minP(1.5f),
        () -> Sampler.typical(NAN),
        () -> Sampler.temperature(NAN),
        () -> Sampler.temperature(-0.1f),
        () -> Sampler.temperature(INF),
        () -> Sampler.temperature(1e-30f),
        () -> Sampler.dynamicTemperature(1f, -1f, 1f),
        () -> Sampler.dynamicTemperature(1f, 1f, NAN),
        () -> Sampler.dynamicTemperature(1f, 1f, -1f),
        () -> Sampler.xtc(NAN, 0.1f, 1),
        () -> Sampler.xtc(0.5f, 2f, 1),
        () -> Sampler.topNSigma(NAN),
        () -> Sampler.topNSigma(-1f),
        () -> Sampler.mirostat(1, 0f, 0.1f),
        () -> Sampler.mirostat(1, 5f, NAN),
        () -> new Mirostat(1, 5f, 0.1f, 1),
        () -> Sampler.mirostatV2(1, INF, 0.1f),
        () -> Sampler.penalties(-1, 1f, 0f, 0f),
        () -> Sampler.penalties(1 << 25, 1f, 0f, 0f),
        () -> Sampler.penalties(64, 0f, 0f, 0f),
        () -> Sampler.penalties(64, INF, 0f, 0f),
        () -> Sampler.penalties(64, 1f, NAN, 0f),
        () -> Sampler.penalties(64, 1f, 0f, INF),
        () -> Sampler.dry(-1f, 1.75f, 2, 64),
        () -> Sampler.dry(1f, 0.5f, 2, 64),
        () -> Sampler.dry(1f, 1.75f, -1, 64),
        () -> Sampler.dry(1f, 1.75f, 2, Integer.MAX_VALUE),
        () -> new Dry(1f, 1.75f, 2, 64, List.of("")),
        () -> new Dry(1f, 1.75f, 2, 64, List.of("x".repeat(41))),
        () -> Sampler.adaptiveP(-0.1f, 0.9f, 1),
        () -> Sampler.adaptiveP(0.5f, 1f, 1),
        () -> Sampler.adaptiveP(NAN, 0.9f, 1),
        () -> Sampler.logitBias(Map.of(-1, 1f)),
        () -> Sampler.logitBias(Map.of(1, NAN)),
        () -> Sampler.logitBias(Map.of(1, INF)),
        () -> Grammar.lazy(Grammar.json()),
        () -> Grammar.lazy(Grammar.json(), ""),
        () -> Grammar.lazy(Grammar.lazy(Grammar.json(), "a"), "b"),
        () -> new Grammar.Lazy(Grammar.json(), List.of(), Set.of()),
        () -> SamplingParameters.defaults().withTopP(2f),
        () -> SamplingParameters.defaults().withTemperatureExponent(-1f),
        () -> SamplingParameters.defaults().withSelector(Sampler.topK(1)));
  }

  @ParameterizedTest
  @MethodSource("wrong")
  void valuesOutOfRangeAreRefusedWithTheirName(Executable make) {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, make);
    assertTrue(e.getMessage().length() > 15, e.getMessage());
  }

  @Test
  void theDefaultsAreThoseOfLlamaCpp() {
    Chain chain = (Chain) Sampler.defaults(7);
    assertEquals(
        List.of(
            new Penalties(64, 1f, 0f, 0f),
            new Dry(0f, 1.75f, 2, 64, Dry.DEFAULT_BREAKERS),
            new TopNSigma(0f),
            new TopK(40),
            new Typical(1f, 0),
            new TopP(0.95f, 0),
            new MinP(0.05f, 0),
            new Xtc(0f, 0.1f, 0, 7),
            new Temperature(0.8f),
            new Distribution(7)),
        chain.samplers());
    assertTrue(chain.selects());
    assertFalse(chain.isNeutral());
  }

  @Test
  void mirostatLeavesOnlyTheTemperatureBeforeIt() {
    MirostatV2 mirostat = Sampler.mirostatV2(1, 5f, 0.1f);
    assertEquals(
        List.of(new Temperature(0.8f), mirostat),
        SamplingParameters.defaults().withSelector(mirostat).toSampler().samplers());
  }

  @Test
  void withChangesTheCopyOnly() {
    SamplingParameters changed = SamplingParameters.defaults().withTopK(3).withSeed(9);
    assertEquals(3, changed.topK());
    assertEquals(9, changed.seed());
    assertEquals(40, SamplingParameters.defaults().topK());
    assertEquals(Sampler.RANDOM_SEED, SamplingParameters.defaults().seed());
  }

  @Test
  void chainsInChainsAreFlattenedInOrder() {
    Chain chain =
        Sampler.chain(
            Sampler.topK(1), Sampler.chain(Sampler.minP(0.1f), Sampler.chain()), Sampler.greedy());
    assertEquals(List.of(Sampler.topK(1), Sampler.minP(0.1f), Sampler.greedy()), chain.flattened());
    assertFalse(Sampler.chain().selects());
    assertFalse(Sampler.chain(Sampler.greedy(), Sampler.topK(1)).selects());
  }

  @Test
  void neutralParametersSaySo() {
    assertTrue(Sampler.topK(0).isNeutral());
    assertTrue(Sampler.topP(1f).isNeutral());
    assertTrue(Sampler.temperature(1f).isNeutral());
    assertFalse(Sampler.temperature(0f).isNeutral());
    assertTrue(Sampler.penalties(64, 1f, 0f, 0f).isNeutral());
    assertFalse(Sampler.penalties(64, 1f, 0.1f, 0f).isNeutral());
    assertTrue(Sampler.logitBias(Map.of()).isNeutral());
    assertFalse(Sampler.greedy().isNeutral());
  }
}
