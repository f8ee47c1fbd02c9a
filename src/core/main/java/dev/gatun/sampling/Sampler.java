package dev.gatun.sampling;

import java.util.List;
import java.util.Map;

/**
 * How the next token is chosen from the model's logits.
 *
 * <p>A sampler works on a list of candidates (token, logit): it drops some, changes logits, or
 * selects one. A {@link Chain} applies several in order. What is given to a generation must end in
 * one that selects: {@link #greedy()}, {@link #dist(long)}, {@link #mirostat}, {@link #mirostatV2},
 * {@link #adaptiveP}, or a {@link #custom} one that calls {@link Candidates#select}.
 *
 * <p>Immutable and independent of any model. State (random numbers, recent tokens, the position in
 * a grammar) belongs to one generation and is made anew for each.
 *
 * @apiNote Each record names the function of {@code llama.h} that it becomes.
 */
public sealed interface Sampler
    permits AdaptiveP,
        Chain,
        Custom,
        Distribution,
        Dry,
        DynamicTemperature,
        Grammatical,
        Greedy,
        Infill,
        LogitBias,
        MinP,
        Mirostat,
        MirostatV2,
        Penalties,
        Temperature,
        TopK,
        TopNSigma,
        TopP,
        Typical,
        Xtc {

  /** A seed that stands for "draw one": two generations with it differ. */
  long RANDOM_SEED = 0xFFFF_FFFFL;

  /** Tells whether this sampler selects a token, so that it may stand at the end of a chain. */
  default boolean selects() {
    return false;
  }

  /**
   * Tells whether these parameters leave every candidate as it is, so that the sampler is left out.
   */
  default boolean isNeutral() {
    return false;
  }

  /**
   * Returns the chain that llama.cpp's own tools use when no option is given: penalties (off), DRY
   * (off), top-n-sigma (off), top-k 40, typical (off), top-p 0.95, min-p 0.05, XTC (off),
   * temperature 0.8, and a draw.
   *
   * @param seed 0 to 2<sup>32</sup> - 1; {@link #RANDOM_SEED} draws one
   */
  static Sampler defaults(long seed) {
    return SamplingParameters.defaults().withSeed(seed).toSampler();
  }

  /**
   * Returns a sampler that selects the largest logit; ties go to the candidate that comes first.
   */
  static Greedy greedy() {
    return new Greedy();
  }

  /** Returns a sampler that draws from the candidates' probabilities; see {@link Distribution}. */
  static Distribution dist(long seed) {
    return new Distribution(seed);
  }

  /** Returns a sampler that keeps the {@code k} largest logits; see {@link TopK}. */
  static TopK topK(int k) {
    return new TopK(k);
  }

  /** Returns nucleus sampling; see {@link TopP}. */
  static TopP topP(float p) {
    return new TopP(p, 0);
  }

  /** Returns a sampler that drops what is much less probable than the best; see {@link MinP}. */
  static MinP minP(float p) {
    return new MinP(p, 0);
  }

  /** Returns locally typical sampling; see {@link Typical}. */
  static Typical typical(float p) {
    return new Typical(p, 0);
  }

  /** Returns a sampler that divides the logits; see {@link Temperature}. */
  static Temperature temperature(float temperature) {
    return new Temperature(temperature);
  }

  /** Returns a temperature that follows the entropy; see {@link DynamicTemperature}. */
  static DynamicTemperature dynamicTemperature(float temperature, float range, float exponent) {
    return new DynamicTemperature(temperature, range, exponent);
  }

  /** Returns "exclude top choices"; see {@link Xtc}. */
  static Xtc xtc(float probability, float threshold, long seed) {
    return new Xtc(probability, threshold, 0, seed);
  }

  /** Returns a cut at n standard deviations below the largest logit; see {@link TopNSigma}. */
  static TopNSigma topNSigma(float n) {
    return new TopNSigma(n);
  }

  /** Returns Mirostat 1.0 with the paper's m of 100; see {@link Mirostat}. */
  static Mirostat mirostat(long seed, float tau, float eta) {
    return new Mirostat(seed, tau, eta, 100);
  }

  /** Returns Mirostat 2.0; see {@link MirostatV2}. */
  static MirostatV2 mirostatV2(long seed, float tau, float eta) {
    return new MirostatV2(seed, tau, eta);
  }

  /** Returns a sampler that lets only texts of a grammar through; see {@link Grammatical}. */
  static Grammatical grammar(Grammar grammar) {
    return new Grammatical(grammar);
  }

  /** Returns penalties for tokens that occurred lately; see {@link Penalties}. */
  static Penalties penalties(int lastN, float repeat, float frequency, float presence) {
    return new Penalties(lastN, repeat, frequency, presence);
  }

  /** Returns a penalty for continuing a repetition, with the usual breakers; see {@link Dry}. */
  static Dry dry(float multiplier, float base, int allowedLength, int lastN) {
    return new Dry(multiplier, base, allowedLength, lastN, Dry.DEFAULT_BREAKERS);
  }

  /** Returns a sampler that aims at a token probability; see {@link AdaptiveP}. */
  static AdaptiveP adaptiveP(float target, float decay, long seed) {
    return new AdaptiveP(target, decay, seed);
  }

  /** Returns constants to add to the logits of some tokens; see {@link LogitBias}. */
  static LogitBias logitBias(Map<Integer, Float> biases) {
    return new LogitBias(biases);
  }

  /** Returns the sampler for filling a gap in a text; see {@link Infill}. */
  static Infill infill() {
    return new Infill();
  }

  /**
   * Returns a sampler written in Java.
   *
   * @param name for messages
   * @param function called once for each token, on the thread that generates
   */
  static Custom custom(String name, CandidateFunction function) {
    return new Custom(name, function);
  }

  /** Returns samplers applied in order. */
  static Chain chain(Sampler... samplers) {
    return new Chain(List.of(samplers));
  }
}
