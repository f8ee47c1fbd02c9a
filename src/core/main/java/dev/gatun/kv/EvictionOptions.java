package dev.gatun.kv;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;

/**
 * How many tokens stay, and which ones whatever a policy says. Immutable.
 *
 * @param budget how many stay
 * @param sinks tokens at the beginning that always stay: attention falls back on them
 * @param recent tokens at the end that always stay
 * @param pinned ranges of positions (as in {@code LlamaSession.positions()}) that always stay
 * @param compact whether the context is compacted when that pays: when attention then runs over at
 *     least a quarter and 256 fewer cells. Not while attention is added up in the context
 * @param questionTokens how many tokens at the end ask something of the text before; policies that
 *     observe a window look at their attention. Empty: as many as the policy says
 */
public record EvictionOptions(
    Budget budget,
    int sinks,
    int recent,
    List<TokenRange> pinned,
    boolean compact,
    OptionalInt questionTokens) {
  /** How many tokens stay. */
  public sealed interface Budget {
    /**
     * A number of tokens.
     *
     * @param count at least 1
     */
    record Tokens(int count) implements Budget {
      /** Checks the number. */
      public Tokens {
        if (count < 1) {
          throw new IllegalArgumentException("a budget has at least one token, but is " + count);
        }
      }
    }

    /**
     * A share of the tokens that the session holds.
     *
     * @param share above 0, at most 1
     */
    record Share(double share) implements Budget {
      /** Checks the share. */
      public Share {
        if (!(share > 0 && share <= 1)) {
          throw new IllegalArgumentException(
              "the share must be above 0 and at most 1, but is " + share);
        }
      }
    }
  }

  private static final int SINKS = 2;
  private static final int RECENT = 8;

  /** Copies the list and checks the numbers. */
  public EvictionOptions {
    Objects.requireNonNull(budget, "budget");
    pinned = List.copyOf(pinned);
    if (sinks < 0 || recent < 1) {
      throw new IllegalArgumentException(
          "sinks must not be negative and at least one recent token stays: %d, %d"
              .formatted(sinks, recent));
    }
    if (questionTokens.isPresent() && questionTokens.getAsInt() < 1) {
      throw new IllegalArgumentException(
          "a question has at least one token, but " + questionTokens.getAsInt());
    }
  }

  /** So many tokens stay, the first 2 and the last 8 among them. */
  public static EvictionOptions tokens(int count) {
    return of(new Budget.Tokens(count));
  }

  /** Such a share of the tokens stays, the first 2 and the last 8 among them. */
  public static EvictionOptions share(double share) {
    return of(new Budget.Share(share));
  }

  private static EvictionOptions of(Budget budget) {
    return new EvictionOptions(budget, SINKS, RECENT, List.of(), true, OptionalInt.empty());
  }

  /** Returns how many of so many tokens stay. */
  public int budgetOf(int tokens) {
    return switch (budget) {
      case Budget.Tokens(int count) -> Math.min(count, tokens);
      case Budget.Share(double share) -> Math.max(1, (int) Math.round(share * tokens));
    };
  }

  /** Returns a copy with another {@link #budget()}. */
  public EvictionOptions withBudget(Budget value) {
    return new EvictionOptions(value, sinks, recent, pinned, compact, questionTokens);
  }

  /** Returns a copy with another number of {@link #sinks()}. */
  public EvictionOptions withSinks(int value) {
    return new EvictionOptions(budget, value, recent, pinned, compact, questionTokens);
  }

  /** Returns a copy with another number of {@link #recent()} tokens. */
  public EvictionOptions withRecent(int value) {
    return new EvictionOptions(budget, sinks, value, pinned, compact, questionTokens);
  }

  /**
   * Returns a copy with one more pinned range.
   *
   * @param from first position
   * @param to end of the range, not in it
   */
  public EvictionOptions withPinned(int from, int to) {
    List<TokenRange> ranges = new ArrayList<>(pinned);
    ranges.add(new TokenRange(from, to));
    return new EvictionOptions(budget, sinks, recent, ranges, compact, questionTokens);
  }

  /** Returns a copy that compacts when it pays, or never. */
  public EvictionOptions withCompact(boolean value) {
    return new EvictionOptions(budget, sinks, recent, pinned, value, questionTokens);
  }

  /** Returns a copy with another number of {@link #questionTokens()}. */
  public EvictionOptions withQuestionTokens(int value) {
    return new EvictionOptions(budget, sinks, recent, pinned, compact, OptionalInt.of(value));
  }
}
