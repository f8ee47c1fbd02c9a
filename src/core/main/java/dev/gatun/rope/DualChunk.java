package dev.gatun.rope;

/**
 * Dual chunk attention: the text is cut into chunks of {@code s = c - l} tokens; keys stand at
 * {@code j mod s}, and a query is near the keys of its own chunk, follows those of the chunk before
 * at {@code min(i mod s + s, c - 1)}, and sees all earlier ones from {@code c - 1}.
 *
 * <p>Source: An et al., "Training-Free Long-Context Scaling of Large Language Models", 2024,
 * section 3.
 *
 * @param chunk {@code c}, tokens of the trained range in use; 0 takes three quarters of the trained
 *     length
 * @param local {@code l}, tokens at true distance across the border of two chunks; 0 takes a third
 *     of the chunk, a quarter of the trained length
 * @param logN whether queries are multiplied by {@link TwoBand#logNFactor}
 */
public record DualChunk(int chunk, int local, boolean logN) implements TwoBand {
  /** Checks the numbers. */
  public DualChunk {
    Checks.notNegative("the chunk", chunk);
    Checks.notNegative("the local window", local);
  }

  @Override
  public DualChunk withLogN(boolean value) {
    return new DualChunk(chunk, local, value);
  }

  @Override
  public boolean isResolved() {
    return chunk > 0 && local > 0;
  }

  @Override
  public DualChunk resolved(int trainedTokens, int contextTokens) {
    Checks.trained(trainedTokens);
    Checks.context(contextTokens);
    int c = chunk == 0 ? Math.max(2, (int) (3L * trainedTokens / 4)) : chunk;
    int l = local == 0 ? Math.max(1, c / 3) : local;
    if (l >= c || c > trainedTokens) {
      throw new IllegalArgumentException(
          "the local window must be less than the chunk, and that at most the trained %d tokens, but they are %d and %d"
              .formatted(trainedTokens, l, c));
    }
    return new DualChunk(c, l, logN);
  }

  /** Returns {@code s}, the tokens of a chunk of the text. */
  public int stride() {
    return chunk - local;
  }

  @Override
  public boolean isNear(int query, int key) {
    return query / stride() == key / stride();
  }

  @Override
  public double queryPosition(int query, int key) {
    int stride = stride();
    return switch (query / stride - key / stride) {
      case 0 -> query % stride;
      case 1 -> Math.min(query % stride + stride, chunk - 1);
      default -> chunk - 1;
    };
  }

  @Override
  public double keyPosition(int query, int key) {
    return key % stride();
  }

  @Override
  public String describe() {
    return "dual chunk attention"
        + (chunk == 0 ? "" : " with chunks of " + chunk)
        + (local == 0 ? "" : ", local " + local)
        + (logN ? ", log-n queries" : "");
  }
}
