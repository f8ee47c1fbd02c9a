package dev.gatun.internal;

import static dev.gatun.bindings.generated.gatun_shim_h.gatun_sampler_accept;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_sampler_apply;
import static dev.gatun.bindings.generated.llama_h.llama_sampler_reset;

import dev.gatun.bindings.generated.llama_token_data;
import dev.gatun.bindings.generated.llama_token_data_array;
import dev.gatun.error.GrammarException;
import dev.gatun.error.LlamaException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * The grammars of a chain and the candidates that they are asked about.
 *
 * <p>A grammar must never accept a token that it does not allow: on an end-of-generation token the
 * native side ends the process, on another it becomes unusable. So every token is checked alone
 * first, which is quick, and the grammars at the front of a chain look at the whole vocabulary only
 * when the token that was chosen without them is refused.
 */
final class GrammarGate {
  private static final long STRIDE = llama_token_data.BYTES;

  private final int vocabularySize;
  private final ErrorBuffer error;
  private final List<MemorySegment> leading = new ArrayList<>();
  private final List<MemorySegment> inner = new ArrayList<>();
  private MemorySegment data = MemorySegment.NULL;
  private MemorySegment array = MemorySegment.NULL;
  private MemorySegment one = MemorySegment.NULL;
  private MemorySegment oneArray = MemorySegment.NULL;
  private boolean intact = true;

  GrammarGate(int vocabularySize, ErrorBuffer error) {
    this.vocabularySize = vocabularySize;
    this.error = error;
  }

  /** Adds a grammar that stands before everything else and is not a part of the native chain. */
  void addLeading(MemorySegment grammar) {
    leading.add(grammar);
  }

  /** Adds a grammar that is a part of the native chain. */
  void addInner(MemorySegment grammar) {
    inner.add(grammar);
  }

  boolean isActive() {
    return !leading.isEmpty() || !inner.isEmpty();
  }

  void allocate(Arena arena) {
    data = arena.allocate(STRIDE * vocabularySize, llama_token_data.ALIGNMENT);
    array = arena.allocate(llama_token_data_array.BYTES, llama_token_data_array.ALIGNMENT);
    one = arena.allocate(STRIDE, llama_token_data.ALIGNMENT);
    oneArray = arena.allocate(llama_token_data_array.BYTES, llama_token_data_array.ALIGNMENT);
  }

  /** Makes every token of the vocabulary a candidate. */
  void fill(MemorySegment logits) {
    for (int i = 0; i < vocabularySize; i++) {
      long at = STRIDE * i;
      data.set(ValueLayout.JAVA_INT, at + llama_token_data.id$offset, i);
      data.set(
          ValueLayout.JAVA_FLOAT,
          at + llama_token_data.logit$offset,
          logits.get(ValueLayout.JAVA_FLOAT, 4L * i));
      data.set(ValueLayout.JAVA_FLOAT, at + llama_token_data.p$offset, 0f);
    }
    describe(array, data, vocabularySize);
  }

  private static void describe(MemorySegment array, MemorySegment data, long size) {
    llama_token_data_array.data(array, data);
    llama_token_data_array.size(array, size);
    llama_token_data_array.selected(array, -1);
    llama_token_data_array.sorted(array, false);
  }

  void apply(MemorySegment sampler) {
    apply(sampler, array);
  }

  private void apply(MemorySegment sampler, MemorySegment candidates) {
    int status = gatun_sampler_apply(sampler, candidates, error.segment(), error.capacity());
    if (status != Status.OK) {
      Status.check("sampling", status, error, LlamaException::new);
    }
  }

  void applyLeading() {
    for (MemorySegment grammar : leading) {
      apply(grammar, array);
    }
  }

  /** Returns the selected token. */
  int selectedToken() {
    long index = llama_token_data_array.selected(array);
    if (index < 0 || index >= llama_token_data_array.size(array)) {
      throw new IllegalStateException(
          "the chain selected no token; end it with a sampler that does, such as Sampler.greedy()");
    }
    long base = llama_token_data_array.data(array).address() - data.address();
    return data.get(ValueLayout.JAVA_INT, base + STRIDE * index + llama_token_data.id$offset);
  }

  boolean leadingAllow(int token) {
    return allow(leading, token);
  }

  private boolean allow(List<MemorySegment> grammars, int token) {
    for (MemorySegment grammar : grammars) {
      one.set(ValueLayout.JAVA_INT, llama_token_data.id$offset, token);
      one.set(ValueLayout.JAVA_FLOAT, llama_token_data.logit$offset, 1f);
      one.set(ValueLayout.JAVA_FLOAT, llama_token_data.p$offset, 0f);
      describe(oneArray, one, 1);
      apply(grammar, oneArray);
      if (one.get(ValueLayout.JAVA_FLOAT, llama_token_data.logit$offset)
          == Float.NEGATIVE_INFINITY) {
        return false;
      }
    }
    return true;
  }

  /** Refuses a token that a grammar does not allow. */
  void requireAllowed(int token) {
    if (!allow(leading, token) || !allow(inner, token)) {
      throw new GrammarException(
          "the grammar allows none of the candidates here (token "
              + token
              + " was left); put the grammar first in the chain, allow more with it, or forbid"
              + " fewer tokens");
    }
  }

  void acceptLeading(int token) {
    for (MemorySegment grammar : leading) {
      int status = gatun_sampler_accept(grammar, token, error.segment(), error.capacity());
      if (status != Status.OK) {
        try {
          Status.check("accepting token " + token, status, error, LlamaException::new);
        } catch (LlamaException e) {
          throw broken(e);
        }
      }
    }
  }

  /** Remembers that a grammar has lost its position: using it again would end the process. */
  GrammarException broken(LlamaException cause) {
    intact = false;
    return new GrammarException(
        cause.getMessage()
            + "; the text does not fit the grammar (what triggers a lazy grammar must be its"
            + " beginning)",
        cause);
  }

  void requireIntact() {
    if (!intact) {
      throw new GrammarException(
          "the text has left the grammar, so it cannot go on; start a new generation");
    }
  }

  void reset() {
    for (MemorySegment grammar : leading) {
      llama_sampler_reset(grammar);
    }
    intact = true;
  }
}
