package dev.gatun.kv;

/**
 * Keeps what the model needs to repeat the text: it is read a second time behind itself, and the
 * maximum of the attention that a token gets in that is its score. Knows nothing of a question.
 *
 * <p>Source: Kim et al., "KVzip", 2025, equation 2, with one set of tokens for all layers and heads
 * and without the prompt that asks to repeat, since not every model follows one.
 *
 * @param chunk tokens of a part of the text that is read again at a time
 * @param spans which neighbours stay too
 */
public record KvZip(int chunk, Spans spans) implements EvictionPolicy {
  @Override
  public String name() {
    return "kvzip:" + chunk + "/" + EvictionSpec.write(spans);
  }

  @Override
  public EvictionNeeds needs() {
    return EvictionNeeds.of(new Observation.Repeat(chunk));
  }

  @Override
  public float[] score(EvictionView view) {
    return view.attention().maxima();
  }
}
