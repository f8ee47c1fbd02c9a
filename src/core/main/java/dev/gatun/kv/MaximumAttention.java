package dev.gatun.kv;

/**
 * Keeps what any one head of any layer attends to strongly from the last tokens, and the tokens
 * around it. One head is enough to find a fact, and its mass is lost in a sum.
 *
 * @param window how many last tokens are observed
 * @param spans which neighbours stay too
 */
public record MaximumAttention(int window, Spans spans) implements EvictionPolicy {
  @Override
  public String name() {
    return "max:" + window + "/" + EvictionSpec.write(spans);
  }

  @Override
  public EvictionNeeds needs() {
    return EvictionNeeds.of(Observation.Window.of(window));
  }

  @Override
  public float[] score(EvictionView view) {
    return view.attention().maxima();
  }
}
