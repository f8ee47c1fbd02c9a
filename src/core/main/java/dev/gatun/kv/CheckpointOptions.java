package dev.gatun.kv;

/**
 * When a session keeps what cannot be cut back, so that it can return to an earlier point without
 * reading everything again. Only models with sliding-window layers or a recurrent state need it;
 * with others nothing is kept.
 *
 * <p>Besides every so many tokens, one is taken before a text is appended and a few tokens before
 * its end, where the next text is likely to differ. When there are too many, those are dropped that
 * lie close together far from the end.
 *
 * @param everyTokens distance in tokens; 0: none but by {@code LlamaSession.checkpoint()}
 * @param maxCount most checkpoints at a time
 * @param maxBytes most bytes of all together
 */
public record CheckpointOptions(int everyTokens, int maxCount, long maxBytes) {
  private static final CheckpointOptions DEFAULTS = new CheckpointOptions(512, 32, 256L << 20);
  private static final CheckpointOptions MANUAL = new CheckpointOptions(0, 32, 256L << 20);

  /** Checks the numbers. */
  public CheckpointOptions {
    if (everyTokens < 0 || maxCount < 0 || maxBytes < 0) {
      throw new IllegalArgumentException(
          "checkpoints every %d tokens, at most %d of %d bytes: no number may be negative"
              .formatted(everyTokens, maxCount, maxBytes));
    }
  }

  /** Returns one every 512 tokens, at most 32 and at most 256 MiB. */
  public static CheckpointOptions defaults() {
    return DEFAULTS;
  }

  /** Returns none but those that are asked for. */
  public static CheckpointOptions manual() {
    return MANUAL;
  }

  /** Returns a copy with another {@link #everyTokens()}. */
  public CheckpointOptions withEveryTokens(int value) {
    return new CheckpointOptions(value, maxCount, maxBytes);
  }

  /** Returns a copy with another {@link #maxCount()}. */
  public CheckpointOptions withMaxCount(int value) {
    return new CheckpointOptions(everyTokens, value, maxBytes);
  }

  /** Returns a copy with another {@link #maxBytes()}. */
  public CheckpointOptions withMaxBytes(long value) {
    return new CheckpointOptions(everyTokens, maxCount, value);
  }
}
