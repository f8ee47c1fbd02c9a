package dev.gatun.kv;

/**
 * What happens when a session has no room for the next token. Whatever a policy drops is told to
 * the session's listener and counted; nothing is dropped silently.
 *
 * <p>Immutable; any thread.
 */
public sealed interface OverflowPolicy {
  /** Nothing is dropped: the call fails with a typed error. The default. */
  static OverflowPolicy fail() {
    return new Fail();
  }

  /**
   * The context shift of llama.cpp: the first tokens stay, half of the rest is dropped and what
   * follows moves up.
   *
   * @param keep tokens at the beginning that stay
   */
  static OverflowPolicy shift(int keep) {
    return new Shift(keep);
  }

  /** Attention sinks and a window, with the values that suit most models: 4 sinks. */
  static OverflowPolicy streaming() {
    return new Streaming(4, 0, 100_000);
  }

  /**
   * An eviction policy chooses what goes: a quarter of the budget each time, the first 4 and the
   * last 32 tokens never. What stays keeps its position, so positions grow with the text: beyond
   * the trained length a position scaling belongs with it.
   *
   * @param policy scores the tokens
   */
  static OverflowPolicy evict(EvictionPolicy policy) {
    return new Evict(policy, EvictionOptions.share(0.75).withSinks(4).withRecent(32));
  }

  /**
   * A summary takes the place of the middle.
   *
   * @param keep tokens at the beginning that stay
   * @param recent tokens at the end that stay
   * @param summariser writes the summary
   */
  static OverflowPolicy summarise(int keep, int recent, Summariser summariser) {
    return new Summarise(keep, recent, summariser);
  }

  /** Returns what it does, in a few words, with its numbers. */
  String describe();

  /** Tells whether it moves positions, which not every model and type of keys allows. */
  default boolean movesPositions() {
    return false;
  }

  /** The call fails. */
  record Fail() implements OverflowPolicy {
    @Override
    public String describe() {
      return "fail";
    }
  }

  /**
   * The first tokens stay, half of the rest is dropped, the remainder moves up.
   *
   * @param keep tokens at the beginning that stay
   */
  record Shift(int keep) implements OverflowPolicy {
    /** Checks the number. */
    public Shift {
      requireNotNegative("keep", keep);
    }

    @Override
    public String describe() {
      return "shift:" + keep;
    }

    @Override
    public boolean movesPositions() {
      return true;
    }
  }

  /**
   * StreamingLLM (Xiao et al. 2024): the first tokens, which attention falls back on, and a window
   * of the latest. The window's cells are never moved; the sinks are, to stand just before it (so
   * keys lose nothing however long the text), and everything is moved back to 0 now and then.
   *
   * @param sinks tokens at the beginning that stay; 4 is enough
   * @param dropAtOnce tokens dropped each time that room is needed; 0: an eighth of the budget. The
   *     window is shorter by so many at most
   * @param rebaseAfter position at which everything is moved back to 0, so that the rotation's
   *     float32 phase stays exact
   */
  record Streaming(int sinks, int dropAtOnce, int rebaseAfter) implements OverflowPolicy {
    /** Checks the numbers. */
    public Streaming {
      if (sinks < 1) {
        throw new IllegalArgumentException("sinks must be at least 1, but is " + sinks);
      }
      requireNotNegative("dropAtOnce", dropAtOnce);
      if (rebaseAfter < 1) {
        throw new IllegalArgumentException("rebaseAfter must be at least 1, but is " + rebaseAfter);
      }
    }

    @Override
    public String describe() {
      return dropAtOnce == 0 ? "streaming:" + sinks : "streaming:" + sinks + "/" + dropAtOnce;
    }

    @Override
    public boolean movesPositions() {
      return true;
    }
  }

  /**
   * An eviction policy chooses what goes.
   *
   * @param policy scores the tokens
   * @param options how many stay, a share being one of the session's budget, and what never goes
   */
  record Evict(EvictionPolicy policy, EvictionOptions options) implements OverflowPolicy {
    @Override
    public String describe() {
      return "evict:" + policy.name();
    }
  }

  /**
   * A summary takes the place of the middle; what follows it is read again.
   *
   * @param keep tokens at the beginning that stay
   * @param recent tokens at the end that stay
   * @param summariser writes the summary
   */
  record Summarise(int keep, int recent, Summariser summariser) implements OverflowPolicy {
    /** Checks the numbers. */
    public Summarise {
      requireNotNegative("keep", keep);
      requireNotNegative("recent", recent);
    }

    @Override
    public String describe() {
      return "summarise:" + keep + "/" + recent;
    }
  }

  /** Writes a summary of tokens that are about to be dropped. */
  @FunctionalInterface
  interface Summariser {
    /**
     * Returns what takes their place.
     *
     * @param dropped token ids that have to go
     * @return token ids, fewer than half of them; may be empty
     */
    int[] summarise(int[] dropped);
  }

  private static void requireNotNegative(String name, int value) {
    if (value < 0) {
      throw new IllegalArgumentException(name + " must not be negative, but is " + value);
    }
  }
}
