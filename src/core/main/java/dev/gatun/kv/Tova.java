package dev.gatun.kv;

/**
 * Keeps what the last token attends to, as the mean over heads and layers.
 *
 * <p>Source: Oren et al., "Transformers are Multi-State RNNs", 2024, section 3.2, with one set of
 * tokens for all layers.
 *
 * @param spans which neighbours stay too
 */
public record Tova(Spans spans) implements EvictionPolicy {
  @Override
  public String name() {
    return EvictionSpec.name("tova", spans);
  }

  @Override
  public EvictionNeeds needs() {
    return EvictionNeeds.of(Observation.Window.of(1));
  }

  @Override
  public float[] score(EvictionView view) {
    return view.attention().last();
  }
}
