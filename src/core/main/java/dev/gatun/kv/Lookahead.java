package dev.gatun.kv;

/**
 * Drafts the beginning of the answer from the full cache, takes it back, and keeps what the drafted
 * tokens attended to: the maximum over heads and layers, and the tokens around it. What an answer
 * needs is often looked up only while it is written.
 *
 * <p>Source: Wang et al., "Lookahead Q-Cache", 2025; it drafts from a cut cache and sums.
 *
 * @param draft how many tokens are drafted; an answer that ends earlier ends the draft
 * @param spans which neighbours stay too
 */
public record Lookahead(int draft, Spans spans) implements EvictionPolicy {
  @Override
  public String name() {
    return "lookahead:" + draft + "/" + EvictionSpec.write(spans);
  }

  @Override
  public EvictionNeeds needs() {
    return EvictionNeeds.of(new Observation.Window(1, 0, draft));
  }

  @Override
  public float[] score(EvictionView view) {
    return view.attention().maxima();
  }
}
