package dev.gatun.kv;

/**
 * Keeps what the last tokens, the question, attend to more than the tokens before them do: for each
 * head the maximum over the question less the maximum over as many tokens as said before it; of
 * that the maximum over heads and layers.
 *
 * <p>Heads that always look at the token before, and tokens that every query falls back on, reach
 * the highest maxima and tell nothing of the question; the difference takes both out.
 *
 * @param window how many last tokens are the question, when the caller does not say
 * @param before how many tokens before them to compare with
 * @param spans which neighbours stay too
 */
public record ContrastAttention(int window, int before, Spans spans) implements EvictionPolicy {
  @Override
  public String name() {
    return "contrast:" + window + "/" + before + "/" + EvictionSpec.write(spans);
  }

  @Override
  public EvictionNeeds needs() {
    return EvictionNeeds.of(new Observation.Window(window, before, 0)).withHeads();
  }

  @Override
  public float[] score(EvictionView view) {
    return Heads.maximumOfDifference(
        view.attention().headMaxima(), view.attentionBefore().headMaxima(), view.size());
  }
}
