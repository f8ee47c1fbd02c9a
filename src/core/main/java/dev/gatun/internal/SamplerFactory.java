package dev.gatun.internal;

import static dev.gatun.bindings.generated.gatun_shim_h.gatun_sampler_init_dry;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_sampler_init_grammar;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_sampler_init_grammar_lazy;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_init_adaptive_p;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_init_dist;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_init_greedy;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_init_infill;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_init_logit_bias;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_init_min_p;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_init_mirostat;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_init_mirostat_v2;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_init_penalties;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_init_temp;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_init_temp_ext;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_init_top_k;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_init_top_n_sigma;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_init_top_p;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_init_typical;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_init_xtc;
import static dev.gatun.bindings.generated.llama_h.llama_vocab_get_suppress_tokens;

import dev.gatun.bindings.Segments;
import dev.gatun.bindings.generated.llama_logit_bias;
import dev.gatun.error.GrammarException;
import dev.gatun.error.LlamaException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.sampling.AdaptiveP;
import dev.gatun.sampling.Chain;
import dev.gatun.sampling.Custom;
import dev.gatun.sampling.Distribution;
import dev.gatun.sampling.Dry;
import dev.gatun.sampling.DynamicTemperature;
import dev.gatun.sampling.Grammar;
import dev.gatun.sampling.Grammatical;
import dev.gatun.sampling.Greedy;
import dev.gatun.sampling.Infill;
import dev.gatun.sampling.LogitBias;
import dev.gatun.sampling.MinP;
import dev.gatun.sampling.Mirostat;
import dev.gatun.sampling.MirostatV2;
import dev.gatun.sampling.Penalties;
import dev.gatun.sampling.Sampler;
import dev.gatun.sampling.Temperature;
import dev.gatun.sampling.TopK;
import dev.gatun.sampling.TopNSigma;
import dev.gatun.sampling.TopP;
import dev.gatun.sampling.Typical;
import dev.gatun.sampling.Xtc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Turns sampler values into {@code llama_sampler} objects. Used inside the model's guard. */
final class SamplerFactory {
  private final NativeModel model;
  private final NativeVocabulary vocabulary;
  private final ErrorBuffer error;

  SamplerFactory(NativeModel model, NativeVocabulary vocabulary, ErrorBuffer error) {
    this.model = model;
    this.vocabulary = vocabulary;
    this.error = error;
  }

  /** Returns a sampler; the caller owns it. */
  MemorySegment create(Sampler sampler) {
    // The usual chain does without the pattern switch, whose first use costs a cold start
    // milliseconds.
    if (sampler instanceof Greedy) {
      return llama_sampler_init_greedy();
    } else if (sampler instanceof Distribution s) {
      return llama_sampler_init_dist((int) s.seed());
    } else if (sampler instanceof TopK s) {
      return llama_sampler_init_top_k(s.k());
    } else if (sampler instanceof TopP s) {
      return llama_sampler_init_top_p(s.p(), s.minKeep());
    } else if (sampler instanceof MinP s) {
      return llama_sampler_init_min_p(s.p(), s.minKeep());
    } else if (sampler instanceof Temperature s) {
      return llama_sampler_init_temp(s.temperature());
    }
    return switch (sampler) {
      case Typical s -> llama_sampler_init_typical(s.p(), s.minKeep());
      case DynamicTemperature s ->
          llama_sampler_init_temp_ext(s.temperature(), s.range(), s.exponent());
      case Xtc s ->
          llama_sampler_init_xtc(s.probability(), s.threshold(), s.minKeep(), (int) s.seed());
      case TopNSigma s -> llama_sampler_init_top_n_sigma(s.n());
      case Mirostat s ->
          llama_sampler_init_mirostat(vocabulary.size(), (int) s.seed(), s.tau(), s.eta(), s.m());
      case MirostatV2 s -> llama_sampler_init_mirostat_v2((int) s.seed(), s.tau(), s.eta());
      case Penalties s ->
          llama_sampler_init_penalties(
              vocabulary.size(), s.lastN(), s.repeat(), s.frequency(), s.presence());
      case Dry s -> dry(s);
      case AdaptiveP s -> llama_sampler_init_adaptive_p(s.target(), s.decay(), (int) s.seed());
      case LogitBias s -> logitBias(s.biases());
      case Infill _ -> infill();
      case Grammatical s -> grammar(s.grammar());
      case Greedy _, Distribution _, TopK _, TopP _, MinP _, Temperature _, Custom _, Chain _ ->
          throw new AssertionError(sampler);
    };
  }

  /** Returns the sampler that forbids the tokens that the model's file says never to generate. */
  Optional<MemorySegment> suppressed() {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment count = call.allocate(ValueLayout.JAVA_INT);
      MemorySegment tokens = llama_vocab_get_suppress_tokens(model.vocab(), count);
      int n = count.get(ValueLayout.JAVA_INT, 0);
      if (n <= 0 || tokens.address() == 0) {
        return Optional.empty();
      }
      Map<Integer, Float> biases = new HashMap<>();
      for (int token : Segments.sized(tokens, 4L * n).toArray(ValueLayout.JAVA_INT)) {
        if (token >= 0 && token < vocabulary.size()) {
          biases.put(token, Float.NEGATIVE_INFINITY);
        }
      }
      return Optional.of(logitBias(biases));
    }
  }

  private MemorySegment logitBias(Map<Integer, Float> biases) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment entries =
          call.allocate(llama_logit_bias.BYTES * biases.size(), llama_logit_bias.ALIGNMENT);
      long at = 0;
      for (Map.Entry<Integer, Float> bias : biases.entrySet()) {
        requireToken("a logit bias", bias.getKey());
        MemorySegment entry = entries.asSlice(at, llama_logit_bias.BYTES);
        llama_logit_bias.token(entry, bias.getKey());
        llama_logit_bias.bias(entry, bias.getValue());
        at += llama_logit_bias.BYTES;
      }
      return llama_sampler_init_logit_bias(vocabulary.size(), biases.size(), entries);
    }
  }

  private MemorySegment dry(Dry s) {
    vocabulary.requireVocabulary();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment sampler = call.allocate(ValueLayout.ADDRESS);
      int status =
          gatun_sampler_init_dry(
              model.vocab(),
              s.multiplier(),
              s.base(),
              s.allowedLength(),
              s.lastN(),
              strings(s.breakers(), call),
              s.breakers().size(),
              sampler,
              error.segment(),
              error.capacity());
      Status.check("making the DRY sampler", status, error, LlamaException::new);
      return sampler.get(ValueLayout.ADDRESS, 0);
    }
  }

  private MemorySegment infill() {
    vocabulary.requireVocabulary();
    if (vocabulary.eot().isEmpty() && vocabulary.eos().isEmpty()) {
      throw new UnsupportedOperationForModelException(
          "the infill sampler needs an end-of-turn or end-of-text token, and the vocabulary has"
              + " none");
    }
    return llama_sampler_init_infill(model.vocab());
  }

  /** Returns a grammar's sampler; the caller owns it. */
  MemorySegment grammar(Grammar grammar) {
    vocabulary.requireVocabulary();
    return switch (grammar) {
      case Grammar.Gbnf g -> grammar(g, List.of(), new int[0], false);
      case Grammar.JsonSchema schema ->
          grammar(JsonSchemas.toGbnf(schema), List.of(), new int[0], false);
      case Grammar.Lazy lazy -> {
        Grammar.Gbnf inner =
            switch (lazy.grammar()) {
              case Grammar.Gbnf g -> g;
              case Grammar.JsonSchema schema -> JsonSchemas.toGbnf(schema);
              case Grammar.Lazy _ -> throw new AssertionError(lazy);
            };
        lazy.tokens().forEach(token -> requireToken("a lazy grammar", token));
        yield grammar(
            inner,
            lazy.words().stream().map(SamplerFactory::escape).toList(),
            lazy.tokens().stream().mapToInt(Integer::intValue).sorted().toArray(),
            true);
      }
    };
  }

  private MemorySegment grammar(
      Grammar.Gbnf grammar, List<String> patterns, int[] tokens, boolean lazy) {
    GbnfChecker.check(grammar.source(), grammar.root());
    try (Arena call = Arena.ofConfined()) {
      MemorySegment sampler = call.allocate(ValueLayout.ADDRESS);
      MemorySegment source = call.allocateFrom(grammar.source());
      MemorySegment root = call.allocateFrom(grammar.root());
      int status;
      if (lazy) {
        status =
            gatun_sampler_init_grammar_lazy(
                model.vocab(),
                source,
                root,
                strings(patterns, call),
                patterns.size(),
                call.allocateFrom(ValueLayout.JAVA_INT, tokens),
                tokens.length,
                sampler,
                error.segment(),
                error.capacity());
      } else {
        status =
            gatun_sampler_init_grammar(
                model.vocab(), source, root, sampler, error.segment(), error.capacity());
      }
      NativeLog.drain();
      Status.check("reading the grammar", status, error, GrammarException::new);
      return sampler.get(ValueLayout.ADDRESS, 0);
    }
  }

  private void requireToken(String who, int token) {
    if (token >= vocabulary.size()) {
      throw new IllegalArgumentException(
          "%s names token %d, but the vocabulary has %,d tokens"
              .formatted(who, token, vocabulary.size()));
    }
  }

  private static MemorySegment strings(List<String> texts, Arena arena) {
    MemorySegment pointers = arena.allocate(ValueLayout.ADDRESS, Math.max(1, texts.size()));
    for (int i = 0; i < texts.size(); i++) {
      pointers.setAtIndex(ValueLayout.ADDRESS, i, arena.allocateFrom(texts.get(i)));
    }
    return pointers;
  }

  /** Makes a word a pattern that matches just it. */
  private static String escape(String word) {
    StringBuilder pattern = new StringBuilder();
    for (int i = 0; i < word.length(); i++) {
      if (".^$|()*+?[]{}\\/".indexOf(word.charAt(i)) >= 0) {
        pattern.append('\\');
      }
      pattern.append(word.charAt(i));
    }
    return pattern.toString();
  }
}
