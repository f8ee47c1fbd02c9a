package dev.gatun.internal;

import static dev.gatun.bindings.generated.gatun_shim_h.gatun_sampler_accept;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_sampler_chain_new;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_sampler_sample;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_chain_add;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_get_seed;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_reset;

import dev.gatun.bindings.Segments;
import dev.gatun.bindings.generated.llama_h;
import dev.gatun.error.GrammarException;
import dev.gatun.error.LlamaException;
import dev.gatun.sampling.Chain;
import dev.gatun.sampling.Custom;
import dev.gatun.sampling.Dry;
import dev.gatun.sampling.Grammatical;
import dev.gatun.sampling.LogitBias;
import dev.gatun.sampling.Penalties;
import dev.gatun.sampling.Sampler;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A native chain of samplers with its state: random numbers, recent tokens, the position in a
 * grammar. Belongs to one generation.
 *
 * <p>Driven by the thread that is inside the context's guard. {@link #sample} allocates nothing in
 * Java or in native memory, besides what a {@link Custom} sampler or a grammar needs.
 */
public final class NativeSampler implements AutoCloseable {
  private static final long NO_SEED = Sampler.RANDOM_SEED;

  private final Arena handles = Arena.ofShared();
  private final Arena buffers = Arena.ofShared();
  private final AtomicBoolean closed = new AtomicBoolean();
  private final NativeVocabulary vocabulary;
  private final MemorySegment chain;
  private final MemorySegment out;
  private final ErrorBuffer error;
  private final List<CustomSampler> customs = new ArrayList<>();
  private final List<Remembering> remembering = new ArrayList<>();
  private final GrammarGate gate;
  private boolean busy;

  /** A sampler that looks at the last tokens of the text. */
  private record Remembering(MemorySegment sampler, int lastTokens) {}

  /**
   * Builds the chain.
   *
   * @throws IllegalArgumentException if no sampler at the end selects a token, one before it does,
   *     or a token id is not in the vocabulary
   * @throws GrammarException if a grammar does not parse
   * @throws dev.gatun.error.UnsupportedOperationForModelException if a sampler needs a token or a
   *     vocabulary that the model has not
   */
  public static NativeSampler create(NativeModel model, Sampler sampler) {
    return new NativeSampler(model, sampler);
  }

  private NativeSampler(NativeModel model, Sampler sampler) {
    List<Sampler> parts = sampler instanceof Chain all ? all.flattened() : List.of(sampler);
    checkOrder(parts);
    this.vocabulary = model.vocabulary();
    model.guard().enter();
    try {
      out = buffers.allocate(ValueLayout.JAVA_INT);
      error = new ErrorBuffer(buffers);
      chain = Segments.owned(gatun_sampler_chain_new(true), handles, llama_h::llama_sampler_free);
      SamplerFactory factory = new SamplerFactory(model, vocabulary, error);
      gate = new GrammarGate(vocabulary.size(), error);
      factory.suppressed().ifPresent(this::add);
      boolean leading = true;
      for (Sampler part : parts) {
        if (part instanceof Grammatical grammatical) {
          MemorySegment grammar = factory.grammar(grammatical.grammar());
          if (leading) {
            gate.addLeading(Segments.owned(grammar, handles, llama_h::llama_sampler_free));
          } else {
            llama_sampler_chain_add(chain, grammar);
            gate.addInner(grammar);
          }
        } else if (part instanceof Custom custom) {
          CustomSampler made = new CustomSampler(custom);
          customs.add(made);
          add(made.newSampler(buffers));
          leading = false;
        } else if (!part.isNeutral()) {
          MemorySegment made = factory.create(part);
          add(made);
          if (part instanceof Penalties p) {
            remembering.add(new Remembering(made, p.lastN()));
          } else if (part instanceof Dry d) {
            remembering.add(new Remembering(made, d.lastN()));
          }
          // Only what adds to logits may come before a grammar that is asked about the whole
          // vocabulary last.
          leading &= part instanceof LogitBias;
        }
      }
      if (gate.isActive()) {
        gate.allocate(buffers);
      }
    } catch (RuntimeException | Error e) {
      handles.close();
      buffers.close();
      throw e;
    } finally {
      model.guard().exit();
    }
  }

  private void add(MemorySegment part) {
    llama_sampler_chain_add(chain, part);
  }

  private static void checkOrder(List<Sampler> parts) {
    Sampler last = parts.isEmpty() ? null : parts.getLast();
    if (last == null || !last.selects()) {
      throw new IllegalArgumentException(
          (last == null ? "an empty chain" : name(last) + " at the end of the chain")
              + " selects no token; end it with Sampler.dist(seed), greedy(), mirostat(..),"
              + " mirostatV2(..), adaptiveP(..), or a custom sampler that selects");
    }
    for (Sampler part : parts.subList(0, parts.size() - 1)) {
      if (part.selects() && !(part instanceof Custom)) {
        throw new IllegalArgumentException(
            name(part) + " selects the token, so it must be the last sampler of the chain");
      }
    }
  }

  private static String name(Sampler sampler) {
    return sampler.getClass().getSimpleName();
  }

  /**
   * Chooses the next token and accepts it.
   *
   * @param context a {@code llama_context} whose guard the caller holds
   * @param index the output; -1 is the last one
   * @return a token id
   * @throws GrammarException if the grammar allows none of the candidates
   * @throws dev.gatun.error.CallbackException if a custom sampler threw
   * @throws IllegalStateException if nothing was selected or there is no such output
   */
  public int sample(MemorySegment context, int index) {
    enter();
    try {
      if (gate.isActive()) {
        return sampleByGrammar(context, index);
      }
      int status =
          gatun_sampler_sample(chain, context, index, out, error.segment(), error.capacity());
      rethrow();
      if (status != Status.OK) {
        Status.check(
            "sampling",
            status,
            error,
            status == Status.FAILED ? NativeSampler::notSelected : LlamaException::new);
      }
      return out.get(ValueLayout.JAVA_INT, 0);
    } finally {
      busy = false;
    }
  }

  private int sampleByGrammar(MemorySegment context, int index) {
    gate.requireIntact();
    MemorySegment logits = llama_h.llama_get_logits_ith(context, index);
    if (logits.address() == 0) {
      throw new IllegalStateException("the last decode has no output " + index);
    }
    logits = Segments.sized(logits, 4L * vocabulary.size());
    gate.fill(logits);
    gate.apply(chain);
    rethrow();
    int token = gate.selectedToken();
    if (!gate.leadingAllow(token)) {
      gate.fill(logits);
      gate.applyLeading();
      gate.apply(chain);
      rethrow();
      token = gate.selectedToken();
    }
    gate.requireAllowed(token);
    acceptAll(token);
    return token;
  }

  private static RuntimeException notSelected(String message) {
    return new IllegalStateException(
        message + "; a chain must end in a sampler that selects, on an output of the last decode");
  }

  /**
   * Tells every sampler, grammars too, of a token that was chosen elsewhere.
   *
   * @throws GrammarException if a grammar does not allow it; nothing was accepted then
   * @throws IndexOutOfBoundsException if it is not in the vocabulary
   */
  public void accept(int token) {
    Objects.checkIndex(token, vocabulary.size());
    enter();
    try {
      if (gate.isActive()) {
        gate.requireIntact();
        gate.requireAllowed(token);
      }
      acceptAll(token);
    } finally {
      busy = false;
    }
  }

  /**
   * Shows the text so far to the samplers that look back: penalties and DRY.
   *
   * @param tokens ids of the vocabulary
   */
  public void acceptPrompt(int[] tokens) {
    enter();
    try {
      for (Remembering part : remembering) {
        for (int i = Math.max(0, tokens.length - part.lastTokens()); i < tokens.length; i++) {
          acceptBy(part.sampler(), Objects.checkIndex(tokens[i], vocabulary.size()));
        }
      }
    } finally {
      busy = false;
    }
  }

  private void acceptAll(int token) {
    gate.acceptLeading(token);
    try {
      acceptBy(chain, token);
    } catch (LlamaException e) {
      throw gate.isActive() ? gate.broken(e) : e;
    }
    rethrow();
  }

  private void acceptBy(MemorySegment sampler, int token) {
    int status = gatun_sampler_accept(sampler, token, error.segment(), error.capacity());
    if (status != Status.OK) {
      Status.check("accepting token " + token, status, error, LlamaException::new);
    }
  }

  /**
   * Starts anew: forgets recent tokens, goes back to the beginning of grammars and of the random
   * numbers.
   */
  public void reset() {
    enter();
    try {
      llama_sampler_reset(chain);
      gate.reset();
      rethrow();
    } finally {
      busy = false;
    }
  }

  /** Returns the seed that is in use, also when it was drawn; empty when nothing is drawn. */
  public OptionalLong seed() {
    long seed = Integer.toUnsignedLong(llama_sampler_get_seed(chain));
    return seed == NO_SEED ? OptionalLong.empty() : OptionalLong.of(seed);
  }

  private void enter() {
    if (closed.get()) {
      throw new IllegalStateException("the sampler is closed");
    }
    if (busy) {
      throw new IllegalStateException("a custom sampler must not use its own generation");
    }
    busy = true;
  }

  private void rethrow() {
    for (int i = 0; i < customs.size(); i++) {
      customs.get(i).rethrow();
    }
  }

  /**
   * Frees the chain. Idempotent.
   *
   * @throws IllegalStateException if a custom sampler of this chain is running
   */
  @Override
  public void close() {
    if (busy) {
      throw new IllegalStateException("a custom sampler must not close its own generation");
    }
    if (closed.compareAndSet(false, true)) {
      handles.close();
      buffers.close();
    }
  }
}
