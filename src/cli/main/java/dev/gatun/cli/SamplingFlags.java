package dev.gatun.cli;

import dev.gatun.sampling.Dry;
import dev.gatun.sampling.DynamicTemperature;
import dev.gatun.sampling.Grammar;
import dev.gatun.sampling.Sampler;
import dev.gatun.sampling.SamplingParameters;
import dev.gatun.sampling.Temperature;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The flags that say how tokens are chosen. Every name is the one that llama.cpp uses. */
final class SamplingFlags {
  private static final int HISTORY = 1 << 24;
  private static final double MANY = 1e6;

  private SamplingParameters parameters = SamplingParameters.defaults();
  private boolean temperatureGiven;
  private int mirostat;
  private float mirostatRate = 0.1f;
  private float mirostatEntropy = 5f;
  private float adaptiveTarget = -1;
  private float adaptiveDecay = 0.9f;
  private final Map<Integer, Float> biases = new HashMap<>();
  private final List<String> breakers = new ArrayList<>();
  private @Nullable Grammar grammar;
  private @Nullable List<String> order;

  void declare(OptionTable table) {
    table
        .group("Sampling:")
        .value("-s,--seed", "N", "Seed; -1 draws one (-1).", this::seed)
        .value(
            "--temp,--temperature",
            "N",
            "Temperature; 0 is greedy (0.8; 0 for --ask and the built-in model).",
            this::temperature)
        .value(
            "--top-k",
            "N",
            "Keep the N most probable; 0 keeps all (40).",
            v -> parameters = parameters.withTopK(Values.whole("--top-k", v, 0, 1 << 30)))
        .value(
            "--top-p",
            "N",
            "Keep the most probable up to this sum; 1 keeps all (0.95).",
            v -> parameters = parameters.withTopP(Values.number("--top-p", v, 0, 1)))
        .value(
            "--min-p",
            "N",
            "Drop below this share of the best; 0 keeps all (0.05).",
            v -> parameters = parameters.withMinP(Values.number("--min-p", v, 0, 1)))
        .value(
            "--typical,--typical-p",
            "N",
            "Locally typical sampling; 1 is off (1).",
            v -> parameters = parameters.withTypicalP(Values.number("--typical", v, 0, 1)))
        .value(
            "--top-nsigma,--top-n-sigma",
            "N",
            "Keep logits within N standard deviations of the best; -1 is off (-1).",
            v ->
                parameters =
                    parameters.withTopNSigma(
                        Math.max(0, Values.number("--top-nsigma", v, -1, MANY))))
        .value(
            "--xtc-probability",
            "N",
            "Chance of excluding top choices; 0 is off (0).",
            v ->
                parameters =
                    parameters.withXtcProbability(Values.number("--xtc-probability", v, 0, 1)))
        .value(
            "--xtc-threshold",
            "N",
            "Probability above which a choice is a top one (0.1).",
            v ->
                parameters = parameters.withXtcThreshold(Values.number("--xtc-threshold", v, 0, 1)))
        .value(
            "--repeat-last-n",
            "N",
            "Tokens that the penalties look back; 0 is off (64).",
            v ->
                parameters =
                    parameters.withPenaltyLastN(Values.whole("--repeat-last-n", v, 0, HISTORY)))
        .value(
            "--repeat-penalty",
            "N",
            "Penalty for repeating; 1 is off (1).",
            v ->
                parameters =
                    parameters.withRepeatPenalty(Values.number("--repeat-penalty", v, 1e-6, MANY)))
        .value(
            "--presence-penalty",
            "N",
            "Penalty for having occurred; 0 is off (0).",
            v ->
                parameters =
                    parameters.withPresencePenalty(
                        Values.number("--presence-penalty", v, -MANY, MANY)))
        .value(
            "--frequency-penalty",
            "N",
            "Penalty for each occurrence; 0 is off (0).",
            v ->
                parameters =
                    parameters.withFrequencyPenalty(
                        Values.number("--frequency-penalty", v, -MANY, MANY)))
        .value(
            "--dry-multiplier",
            "N",
            "Strength of DRY; 0 is off (0).",
            v ->
                parameters =
                    parameters.withDryMultiplier(Values.number("--dry-multiplier", v, 0, MANY)))
        .value(
            "--dry-base",
            "N",
            "Base of DRY's penalty (1.75).",
            v -> parameters = parameters.withDryBase(Values.number("--dry-base", v, 1, MANY)))
        .value(
            "--dry-allowed-length",
            "N",
            "Repetitions that DRY lets pass (2).",
            v ->
                parameters =
                    parameters.withDryAllowedLength(
                        Values.whole("--dry-allowed-length", v, 0, HISTORY)))
        .value(
            "--dry-penalty-last-n",
            "N",
            "Tokens that DRY looks back; 0 is off (64).",
            v ->
                parameters =
                    parameters.withDryLastN(Values.whole("--dry-penalty-last-n", v, 0, HISTORY)))
        .value(
            "--dry-sequence-breaker",
            "TEXT",
            "A text that DRY does not look across; none clears the usual ones.",
            this::breaker)
        .value(
            "--dynatemp-range",
            "N",
            "Range of a temperature that follows the entropy; 0 is off (0).",
            v ->
                parameters =
                    parameters.withTemperatureRange(Values.number("--dynatemp-range", v, 0, MANY)))
        .value(
            "--dynatemp-exp",
            "N",
            "Exponent of that (1).",
            v ->
                parameters =
                    parameters.withTemperatureExponent(Values.number("--dynatemp-exp", v, 0, MANY)))
        .value(
            "--mirostat",
            "0|1|2",
            "Mirostat version; 0 is off (0).",
            v -> mirostat = Values.whole("--mirostat", v, 0, 2))
        .value(
            "--mirostat-lr",
            "N",
            "Mirostat's learning rate (0.1).",
            v -> mirostatRate = Values.number("--mirostat-lr", v, 1e-6, MANY))
        .value(
            "--mirostat-ent",
            "N",
            "Mirostat's target entropy (5).",
            v -> mirostatEntropy = Values.number("--mirostat-ent", v, 1e-6, MANY))
        .value(
            "--adaptive-target",
            "N",
            "Aim at tokens of this probability; negative is off (-1).",
            v -> adaptiveTarget = Values.number("--adaptive-target", v, -1, 1))
        .value(
            "--adaptive-decay",
            "N",
            "How slowly that follows (0.9).",
            v -> adaptiveDecay = Values.number("--adaptive-decay", v, 0, 0.99))
        .value(
            "--samplers",
            "LIST",
            "Samplers in order, separated by ';'"
                + " (penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature).",
            v -> order = List.of(v.split(";")))
        .value(
            "-l,--logit-bias",
            "TOKEN(+|-)BIAS",
            "Make a token more or less likely; -inf forbids it.",
            this::bias)
        .value("--grammar", "GBNF", "Grammar of the answer.", v -> grammar = Grammar.gbnf(v))
        .value(
            "--grammar-file",
            "FILE",
            "File with such a grammar.",
            v -> grammar = Grammar.gbnf(TextInput.file(v)))
        .value(
            "-j,--json-schema",
            "SCHEMA",
            "JSON schema of the answer; {} is any JSON.",
            v -> grammar = Grammar.jsonSchema(v))
        .value(
            "-jf,--json-schema-file",
            "FILE",
            "File with such a schema.",
            v -> grammar = Grammar.jsonSchema(TextInput.file(v)));
  }

  private void seed(String value) {
    try {
      long seed = Long.parseLong(value);
      if (seed >= -1 && seed <= 0xFFFF_FFFFL) {
        parameters = parameters.withSeed(seed == -1 ? Sampler.RANDOM_SEED : seed);
        return;
      }
    } catch (NumberFormatException e) {
      // answered below
    }
    throw CliException.usage("--seed must be from -1 to 4294967295, not '" + value + "'");
  }

  private void temperature(String value) {
    parameters = parameters.withTemperature(Values.number("--temp", value, 0, MANY));
    temperatureGiven = true;
  }

  private void breaker(String value) {
    if (value.equals("none")) {
      breakers.clear();
    } else {
      breakers.add(value.replace("\\n", "\n").replace("\\t", "\t"));
    }
    parameters = parameters.withDryBreakers(breakers);
  }

  private void bias(String value) {
    int sign = Math.max(value.lastIndexOf('+'), value.lastIndexOf('-'));
    try {
      int token = Integer.parseInt(value.substring(0, Math.max(0, sign)));
      String amount = value.substring(sign + 1);
      float number = amount.equals("inf") ? Float.POSITIVE_INFINITY : Float.parseFloat(amount);
      float bias = value.charAt(sign) == '-' ? -number : number;
      if (token >= 0 && bias < Float.POSITIVE_INFINITY && !Float.isNaN(bias)) {
        biases.put(token, bias);
        return;
      }
    } catch (NumberFormatException e) {
      // answered below
    }
    throw CliException.usage(
        "--logit-bias needs a token id and a bias such as 15+2.5 or 15-inf, not '" + value + "'");
  }

  /**
   * Returns the sampler.
   *
   * @param greedyByDefault whether the best token is taken unless a temperature was given
   */
  Sampler sampler(boolean greedyByDefault) {
    SamplingParameters chosen =
        greedyByDefault && !temperatureGiven ? parameters.withTemperature(0) : parameters;
    if (mirostat == 1) {
      chosen = chosen.withSelector(Sampler.mirostat(chosen.seed(), mirostatEntropy, mirostatRate));
    } else if (mirostat == 2) {
      chosen =
          chosen.withSelector(Sampler.mirostatV2(chosen.seed(), mirostatEntropy, mirostatRate));
    } else if (adaptiveTarget >= 0) {
      chosen = chosen.withSelector(Sampler.adaptiveP(adaptiveTarget, adaptiveDecay, chosen.seed()));
    }
    List<Sampler> chain = new ArrayList<>(12);
    if (grammar != null) {
      chain.add(Sampler.grammar(grammar));
    }
    if (!biases.isEmpty()) {
      chain.add(Sampler.logitBias(biases));
    }
    if (chosen.temperature() == 0 && mirostat == 0 && adaptiveTarget < 0 && order == null) {
      // At temperature 0 only what comes before the truncation can change the choice.
      for (Sampler sampler : chosen.toSampler().samplers().subList(0, 2)) {
        if (!sampler.isNeutral()) {
          chain.add(sampler);
        }
      }
      chain.add(Sampler.greedy());
    } else if (order != null && mirostat == 0) {
      for (String name : order) {
        chain.add(named(name.strip(), chosen));
      }
      chain.add(chosen.selector().orElse(Sampler.dist(chosen.seed())));
    } else {
      chain.add(chosen.toSampler());
    }
    return chain.size() == 1 ? chain.getFirst() : Sampler.chain(chain.toArray(new Sampler[0]));
  }

  private static Sampler named(String name, SamplingParameters p) {
    return switch (name) {
      case "penalties" ->
          Sampler.penalties(
              p.penaltyLastN(), p.repeatPenalty(), p.frequencyPenalty(), p.presencePenalty());
      case "dry" ->
          new Dry(
              p.dryMultiplier(), p.dryBase(), p.dryAllowedLength(), p.dryLastN(), p.dryBreakers());
      case "top_n_sigma" -> Sampler.topNSigma(p.topNSigma());
      case "top_k" -> Sampler.topK(p.topK());
      case "typ_p", "typical_p" -> Sampler.typical(p.typicalP());
      case "top_p" -> Sampler.topP(p.topP());
      case "min_p" -> Sampler.minP(p.minP());
      case "xtc" -> Sampler.xtc(p.xtcProbability(), p.xtcThreshold(), p.seed());
      case "temperature" ->
          p.temperatureRange() == 0
              ? new Temperature(p.temperature())
              : new DynamicTemperature(
                  p.temperature(), p.temperatureRange(), p.temperatureExponent());
      case "infill" -> Sampler.infill();
      default ->
          throw CliException.usage(
              "--samplers knows penalties, dry, top_n_sigma, top_k, typ_p, top_p, min_p, xtc,"
                  + " temperature and infill, not '"
                  + name
                  + "'");
    };
  }
}
