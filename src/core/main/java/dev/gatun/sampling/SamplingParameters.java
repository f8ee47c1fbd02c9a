package dev.gatun.sampling;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The usual chain of samplers by its parameters, with the order, the meanings and the defaults of
 * llama.cpp's own tools: penalties, DRY, top-n-sigma, top-k, typical, top-p, min-p, XTC,
 * temperature, and a draw.
 *
 * <p>Immutable; start from {@link #defaults()}. Every {@code with} method checks its value and
 * throws {@link IllegalArgumentException} with the range.
 */
public final class SamplingParameters implements Cloneable {
  private static final SamplingParameters DEFAULTS = new SamplingParameters();

  private long seed = Sampler.RANDOM_SEED;
  private float temperature = 0.8f;
  private float temperatureRange = 0f;
  private float temperatureExponent = 1f;
  private int topK = 40;
  private float topP = 0.95f;
  private float minP = 0.05f;
  private float typicalP = 1f;
  private float topNSigma = 0f;
  private float xtcProbability = 0f;
  private float xtcThreshold = 0.1f;
  private int minKeep = 0;
  private int penaltyLastN = 64;
  private float repeatPenalty = 1f;
  private float frequencyPenalty = 0f;
  private float presencePenalty = 0f;
  private float dryMultiplier = 0f;
  private float dryBase = 1.75f;
  private int dryAllowedLength = 2;
  private int dryLastN = 64;
  private List<String> dryBreakers = Dry.DEFAULT_BREAKERS;
  private @Nullable Sampler selector;

  private SamplingParameters() {}

  /** Returns llama.cpp's defaults, with {@link Sampler#RANDOM_SEED}. */
  public static SamplingParameters defaults() {
    return DEFAULTS;
  }

  /** Returns the seed of every sampler that draws; 0 to 2<sup>32</sup> - 1. */
  public long seed() {
    return seed;
  }

  /** Returns a copy with another {@link #seed()}; {@link Sampler#RANDOM_SEED} draws one. */
  public SamplingParameters withSeed(long value) {
    return with(p -> p.seed = value);
  }

  /** Returns the parameter of {@link Temperature}; 0 makes the choice greedy; 0.8 by default. */
  public float temperature() {
    return temperature;
  }

  /** Returns a copy with another {@link #temperature()}. */
  public SamplingParameters withTemperature(float value) {
    return with(p -> p.temperature = value);
  }

  /** Returns the parameter of {@link DynamicTemperature}; 0, the default, turns it off. */
  public float temperatureRange() {
    return temperatureRange;
  }

  /** Returns a copy with another {@link #temperatureRange()}. */
  public SamplingParameters withTemperatureRange(float value) {
    return with(p -> p.temperatureRange = value);
  }

  /** Returns the parameter of {@link DynamicTemperature}; 1 by default. */
  public float temperatureExponent() {
    return temperatureExponent;
  }

  /** Returns a copy with another {@link #temperatureExponent()}. */
  public SamplingParameters withTemperatureExponent(float value) {
    return with(p -> p.temperatureExponent = value);
  }

  /** Returns the parameter of {@link TopK}; 40 by default, 0 turns it off. */
  public int topK() {
    return topK;
  }

  /** Returns a copy with another {@link #topK()}. */
  public SamplingParameters withTopK(int value) {
    return with(p -> p.topK = value);
  }

  /** Returns the parameter of {@link TopP}; 0.95 by default, 1 turns it off. */
  public float topP() {
    return topP;
  }

  /** Returns a copy with another {@link #topP()}. */
  public SamplingParameters withTopP(float value) {
    return with(p -> p.topP = value);
  }

  /** Returns the parameter of {@link MinP}; 0.05 by default, 0 turns it off. */
  public float minP() {
    return minP;
  }

  /** Returns a copy with another {@link #minP()}. */
  public SamplingParameters withMinP(float value) {
    return with(p -> p.minP = value);
  }

  /** Returns the parameter of {@link Typical}; 1, the default, turns it off. */
  public float typicalP() {
    return typicalP;
  }

  /** Returns a copy with another {@link #typicalP()}. */
  public SamplingParameters withTypicalP(float value) {
    return with(p -> p.typicalP = value);
  }

  /** Returns the parameter of {@link TopNSigma}; 0, the default, turns it off. */
  public float topNSigma() {
    return topNSigma;
  }

  /** Returns a copy with another {@link #topNSigma()}. */
  public SamplingParameters withTopNSigma(float value) {
    return with(p -> p.topNSigma = value);
  }

  /** Returns the parameter of {@link Xtc}; 0, the default, turns it off. */
  public float xtcProbability() {
    return xtcProbability;
  }

  /** Returns a copy with another {@link #xtcProbability()}. */
  public SamplingParameters withXtcProbability(float value) {
    return with(p -> p.xtcProbability = value);
  }

  /** Returns the parameter of {@link Xtc}; 0.1 by default. */
  public float xtcThreshold() {
    return xtcThreshold;
  }

  /** Returns a copy with another {@link #xtcThreshold()}. */
  public SamplingParameters withXtcThreshold(float value) {
    return with(p -> p.xtcThreshold = value);
  }

  /** Returns how many candidates the truncating samplers leave at least; 0 by default. */
  public int minKeep() {
    return minKeep;
  }

  /** Returns a copy with another {@link #minKeep()}. */
  public SamplingParameters withMinKeep(int value) {
    return with(p -> p.minKeep = value);
  }

  /** Returns the parameter of {@link Penalties}; 64 by default, 0 turns them off. */
  public int penaltyLastN() {
    return penaltyLastN;
  }

  /** Returns a copy with another {@link #penaltyLastN()}. */
  public SamplingParameters withPenaltyLastN(int value) {
    return with(p -> p.penaltyLastN = value);
  }

  /** Returns the parameter of {@link Penalties}; 1, the default, turns it off. */
  public float repeatPenalty() {
    return repeatPenalty;
  }

  /** Returns a copy with another {@link #repeatPenalty()}. */
  public SamplingParameters withRepeatPenalty(float value) {
    return with(p -> p.repeatPenalty = value);
  }

  /** Returns the parameter of {@link Penalties}; 0, the default, turns it off. */
  public float frequencyPenalty() {
    return frequencyPenalty;
  }

  /** Returns a copy with another {@link #frequencyPenalty()}. */
  public SamplingParameters withFrequencyPenalty(float value) {
    return with(p -> p.frequencyPenalty = value);
  }

  /** Returns the parameter of {@link Penalties}; 0, the default, turns it off. */
  public float presencePenalty() {
    return presencePenalty;
  }

  /** Returns a copy with another {@link #presencePenalty()}. */
  public SamplingParameters withPresencePenalty(float value) {
    return with(p -> p.presencePenalty = value);
  }

  /** Returns the parameter of {@link Dry}; 0, the default, turns it off. */
  public float dryMultiplier() {
    return dryMultiplier;
  }

  /** Returns a copy with another {@link #dryMultiplier()}. */
  public SamplingParameters withDryMultiplier(float value) {
    return with(p -> p.dryMultiplier = value);
  }

  /** Returns the parameter of {@link Dry}; 1.75 by default. */
  public float dryBase() {
    return dryBase;
  }

  /** Returns a copy with another {@link #dryBase()}. */
  public SamplingParameters withDryBase(float value) {
    return with(p -> p.dryBase = value);
  }

  /** Returns the parameter of {@link Dry}; 2 by default. */
  public int dryAllowedLength() {
    return dryAllowedLength;
  }

  /** Returns a copy with another {@link #dryAllowedLength()}. */
  public SamplingParameters withDryAllowedLength(int value) {
    return with(p -> p.dryAllowedLength = value);
  }

  /** Returns the parameter of {@link Dry}; 64 by default, 0 turns it off. */
  public int dryLastN() {
    return dryLastN;
  }

  /** Returns a copy with another {@link #dryLastN()}. */
  public SamplingParameters withDryLastN(int value) {
    return with(p -> p.dryLastN = value);
  }

  /**
   * Returns the parameter of {@link Dry}; a line feed, a colon, a quote and an asterisk by default.
   */
  public List<String> dryBreakers() {
    return dryBreakers;
  }

  /** Returns a copy with another {@link #dryBreakers()}. */
  public SamplingParameters withDryBreakers(List<String> value) {
    return with(p -> p.dryBreakers = List.copyOf(value));
  }

  /** Returns what selects instead of a draw; empty by default. */
  public Optional<Sampler> selector() {
    return Optional.ofNullable(selector);
  }

  /**
   * Returns a copy whose chain ends in {@code value} instead of a draw. As in llama.cpp's own tools
   * {@link Mirostat} and {@link MirostatV2} leave only the temperature before them.
   *
   * @throws IllegalArgumentException if it does not select
   */
  public SamplingParameters withSelector(Sampler value) {
    if (!value.selects()) {
      throw new IllegalArgumentException(
          value + " selects no token; use a sampler that does, such as Sampler.greedy()");
    }
    return with(p -> p.selector = value);
  }

  /** Returns the chain. */
  public Chain toSampler() {
    List<Sampler> chain = new ArrayList<>();
    Sampler heat =
        temperatureRange == 0f
            ? new Temperature(temperature)
            : new DynamicTemperature(temperature, temperatureRange, temperatureExponent);
    if (!(selector instanceof Mirostat || selector instanceof MirostatV2)) {
      chain.add(new Penalties(penaltyLastN, repeatPenalty, frequencyPenalty, presencePenalty));
      chain.add(new Dry(dryMultiplier, dryBase, dryAllowedLength, dryLastN, dryBreakers));
      chain.add(new TopNSigma(topNSigma));
      chain.add(new TopK(topK));
      chain.add(new Typical(typicalP, minKeep));
      chain.add(new TopP(topP, minKeep));
      chain.add(new MinP(minP, minKeep));
      chain.add(new Xtc(xtcProbability, xtcThreshold, minKeep, seed));
    }
    chain.add(heat);
    chain.add(selector == null ? new Distribution(seed) : selector);
    return new Chain(chain);
  }

  private SamplingParameters with(Consumer<SamplingParameters> change) {
    try {
      SamplingParameters copy = (SamplingParameters) clone();
      change.accept(copy);
      Checks.range("temperatureExponent", copy.temperatureExponent, 0f, 1e6f);
      copy.toSampler();
      return copy;
    } catch (CloneNotSupportedException e) {
      throw new AssertionError(e);
    }
  }
}
