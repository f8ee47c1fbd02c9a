package dev.gatun.rope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What holds for every model shape and factor. */
class StaticScalingTest {
  private static final double NAN = Double.NaN;

  static Stream<RopeBasis> bases() {
    List<RopeBasis> bases = new ArrayList<>();
    for (int dimensions : new int[] {2, 4, 64, 80, 96, 128, 256}) {
      for (double base : new double[] {195, 10_000, 500_000, 1e6}) {
        for (int trained : new int[] {256, 4096, 131_072}) {
          bases.add(new RopeBasis(dimensions, base, trained));
        }
      }
    }
    return bases.stream();
  }

  private static List<StaticScaling> all(double s, RopeBasis basis) {
    Yarn yarn = RopeScaling.yarn(s);
    NtkByParts parts = RopeScaling.ntkByParts(s);
    int tokens = (int) Math.round(s * basis.trainedTokens());
    List<Double> ones = Collections.nCopies(basis.pairs(), 1.0);
    List<Double> factors = Collections.nCopies(basis.pairs(), s);
    return List.of(
        RopeScaling.linear(s),
        RopeScaling.ntkAware(s),
        RopeScaling.ntkFixed(s),
        DynamicNtk.paper(tokens),
        DynamicNtk.huggingFace(s, tokens),
        DynamicNtk.vllm(s),
        parts,
        parts.withRamp(NtkByParts.Ramp.PAPER),
        parts.withTruncate(false),
        yarn,
        yarn.withTruncate(false),
        yarn.withExtrapolationFactor(0.5),
        yarn.withExtrapolationFactor(0),
        RopeScaling.llama3(s),
        new LongRope(ones, factors, s, 0, NAN),
        new FactorTable(factors, 1));
  }

  @ParameterizedTest
  @MethodSource("bases")
  void factorOne_changesNothing(RopeBasis basis) {
    double[] plain = Rotation.unscaled(basis).inverseFrequencies();
    for (StaticScaling scaling : all(1, basis)) {
      Rotation rotation = scaling.rotation(basis);
      double[] scaled = rotation.inverseFrequencies();
      for (int i = 0; i < plain.length; i++) {
        assertEquals(1, scaled[i] / plain[i], 1e-14, scaling + " pair " + i);
        assertEquals(1, rotation.freqFactors()[i], 1e-14);
      }
      assertEquals(1, rotation.attentionFactor(), scaling.toString());
    }
  }

  @ParameterizedTest
  @MethodSource("bases")
  void frequencies_fallWithThePairAndLieBetweenPlainAndDivided(RopeBasis basis) {
    double[] plain = Rotation.unscaled(basis).inverseFrequencies();
    for (double s : new double[] {1.5, 2, 8, 64}) {
      for (StaticScaling scaling : all(s, basis)) {
        double least = scaling instanceof DynamicNtk dynamic ? dynamic.effectiveFactor(basis) : s;
        double[] scaled = scaling.rotation(basis).inverseFrequencies();
        for (int i = 0; i < scaled.length; i++) {
          assertTrue(scaled[i] <= plain[i] * (1 + 1e-12), scaling + " pair " + i);
          assertTrue(scaled[i] >= plain[i] / least * (1 - 1e-12), scaling + " pair " + i);
          assertTrue(i == 0 || scaled[i] < scaled[i - 1], scaling + " pair " + i);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("bases")
  void largerFactors_neverTurnFaster(RopeBasis basis) {
    List<StaticScaling> less = all(2, basis);
    List<StaticScaling> more = all(3, basis);
    for (int m = 0; m < less.size(); m++) {
      double[] a = less.get(m).rotation(basis).inverseFrequencies();
      double[] b = more.get(m).rotation(basis).inverseFrequencies();
      for (int i = 0; i < a.length; i++) {
        assertTrue(b[i] <= a[i] * (1 + 1e-12), less.get(m) + " pair " + i);
      }
      assertTrue(
          more.get(m).rotation(basis).attentionFactor()
              >= less.get(m).rotation(basis).attentionFactor());
    }
  }

  @ParameterizedTest
  @MethodSource("bases")
  void ntk_leavesTheFirstPairAndDividesTheLastByTheFactor(RopeBasis basis) {
    int last = basis.pairs() - 1;
    for (double s : new double[] {2, 8, 32}) {
      double[] aware = RopeScaling.ntkAware(s).rotation(basis).inverseFrequencies();
      assertEquals(1, aware[0]);
      double[] fixed = RopeScaling.ntkFixed(s).rotation(basis).inverseFrequencies();
      assertEquals(s, basis.frequency(last) / fixed[last], 1e-12 * s);
      if (last > 0) {
        assertEquals(s, basis.frequency(last) / aware[last], 1e-12 * s);
        // The table is that of the stretched base.
        double base = RopeScaling.ntkAware(s).stretchedBase(basis);
        for (int i = 0; i <= last; i++) {
          double expected = Math.pow(base, -2.0 * i / basis.dimensions());
          assertEquals(1, aware[i] / expected, 1e-11);
        }
      }
    }
  }

  @Test
  void dynamicNtk_doesNothingUpToTheTrainedLength() {
    RopeBasis basis = new RopeBasis(128, 10_000, 4096);
    assertEquals(Rotation.unscaled(basis), DynamicNtk.paper(100).rotation(basis));
    assertEquals(Rotation.unscaled(basis), DynamicNtk.huggingFace(8, 4096).rotation(basis));
    assertEquals(2, DynamicNtk.paper(8192).effectiveFactor(basis));
    assertEquals(9, DynamicNtk.huggingFace(8, 8192).effectiveFactor(basis));
  }

  @Test
  void partialMix_hasTheWholeTemperatureAndPartOfTheRamp() {
    RopeBasis basis = new RopeBasis(128, 10_000, 4096);
    Yarn yarn = RopeScaling.yarn(8);
    Rotation whole = yarn.rotation(basis);
    Rotation half = yarn.withExtrapolationFactor(0.5).rotation(basis);
    assertEquals(whole.attentionFactor(), half.attentionFactor());
    // The first pair is kept whole by YaRN; half a mix leaves it between.
    assertEquals(1, whole.inverseFrequencies()[0]);
    assertEquals(0.5 + 0.5 / 8, half.inverseFrequencies()[0], 1e-15);
    Rotation none = yarn.withExtrapolationFactor(0).rotation(basis);
    assertEquals(RopeScaling.linear(8).rotation(basis), none);
  }

  @Test
  void temperature_inItsForms() {
    RopeBasis basis = new RopeBasis(128, 10_000, 4096);
    Yarn yarn = RopeScaling.yarn(40);
    double paper = 0.1 * Math.log(40) + 1;
    assertEquals(paper, yarn.rotation(basis).attentionFactor(), 1e-15);
    assertEquals(1, attention(yarn, Temperature.off()));
    assertEquals(1.25, attention(yarn, new Temperature.Fixed(1.25)));
    assertEquals(2 * paper, attention(yarn, new Temperature.Standard(2)), 1e-15);
    assertEquals(1, attention(yarn, new Temperature.DeepSeek(0.707, 0.707)));
    assertEquals(
        paper / (0.0707 * Math.log(40) + 1),
        attention(yarn, new Temperature.DeepSeek(1, 0.707)),
        1e-15);
    // llama.cpp honours its multiplier, and nothing more, without the mix.
    assertEquals(2, attention(yarn.withExtrapolationFactor(0), new Temperature.Standard(2)));
  }

  private static double attention(Yarn yarn, Temperature temperature) {
    return yarn.withTemperature(temperature)
        .rotation(new RopeBasis(128, 10_000, 4096))
        .attentionFactor();
  }

  @Test
  void originalLengthAndBetas_areTheModelsUnlessStated() {
    RopeBasis basis = new RopeBasis(64, 195, 256).withBetas(7.3, 1);
    Yarn yarn = RopeScaling.yarn(8);
    assertEquals(
        yarn.withBetas(7.3, 1).withOriginalTokens(256).rotation(basis), yarn.rotation(basis));
    assertNotEquals(yarn.withBetas(32, 1).rotation(basis), yarn.rotation(basis));
    assertNotEquals(yarn.withOriginalTokens(512).rotation(basis), yarn.rotation(basis));
    NtkByParts parts = RopeScaling.ntkByParts(8);
    assertEquals(parts.withBetas(7.3, NAN).rotation(basis), parts.rotation(basis));
    Llama3 llama = RopeScaling.llama3(8);
    assertEquals(llama.withOriginalTokens(256).rotation(basis), llama.rotation(basis));
    assertNotEquals(llama.withOriginalTokens(512).rotation(basis), llama.rotation(basis));
    // One beta from the caller and one from the model must still make a ramp.
    assertThrows(IllegalArgumentException.class, () -> parts.withBetas(0.5, NAN).rotation(basis));
  }

  @Test
  void longRope_choosesItsTableByTheFactor() {
    RopeBasis basis = new RopeBasis(4, 10_000, 4096);
    LongRope rope = new LongRope(List.of(1.0, 1.5), List.of(2.0, 16.0), 32, 0, NAN);
    assertArrayEquals(new double[] {2, 16}, rope.rotation(basis).freqFactors(), 1e-12);
    assertEquals(
        Math.sqrt(1 + Math.log(32) / Math.log(4096)), rope.rotation(basis).attentionFactor());
    Rotation shorter = rope.withFactor(1).rotation(basis);
    assertArrayEquals(new double[] {1, 1.5}, shorter.freqFactors(), 1e-12);
    assertEquals(1, shorter.attentionFactor());
    LongRope stated = new LongRope(List.of(1.0, 1.5), List.of(2.0, 16.0), 32, 0, 1.25);
    assertEquals(1.25, stated.rotation(basis).attentionFactor());
  }

  @Test
  void anyScaling_isATable() {
    RopeBasis basis = new RopeBasis(96, 10_000, 2048);
    for (StaticScaling scaling : all(8, basis)) {
      Rotation rotation = scaling.rotation(basis);
      Rotation again = FactorTable.of(rotation).rotation(basis);
      for (int i = 0; i < basis.pairs(); i++) {
        assertEquals(1, again.inverseFrequencies()[i] / rotation.inverseFrequencies()[i], 1e-14);
      }
      assertEquals(rotation.attentionFactor(), again.attentionFactor());
    }
  }

  @Test
  void tablesOfAnotherLength_areRefused() {
    RopeBasis basis = new RopeBasis(64, 195, 256);
    String message =
        assertThrows(IllegalArgumentException.class, () -> FactorTable.of(1, 2, 3).rotation(basis))
            .getMessage();
    assertTrue(message.contains("32") && message.contains("3 factors"), message);
    assertThrows(IllegalArgumentException.class, () -> new Rotation(basis, new double[31], 1));
  }

  @Test
  void arrays_areCopies() {
    RopeBasis basis = new RopeBasis(4, 195, 256);
    double[] given = {1, 0.5};
    Rotation rotation = new Rotation(basis, given, 1);
    given[0] = 7;
    rotation.inverseFrequencies()[1] = 7;
    assertArrayEquals(new double[] {1, 0.5}, rotation.inverseFrequencies());
    List<Double> table = new ArrayList<>(List.of(1.0, 2.0));
    FactorTable factors = new FactorTable(table, 1);
    table.set(0, 9.0);
    assertEquals(List.of(1.0, 2.0), factors.factors());
  }
}
