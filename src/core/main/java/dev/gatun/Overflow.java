package dev.gatun;

import dev.gatun.error.CallbackException;
import dev.gatun.error.KvCacheFullException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.kv.Observation;
import dev.gatun.kv.OverflowEvent;
import dev.gatun.kv.OverflowPolicy;
import dev.gatun.kv.TokenRange;
import java.util.Arrays;
import java.util.List;

/** Makes room for the next tokens of one session, by its policy. Inside the context's guard. */
final class Overflow {
  private final LlamaContext owner;
  private final SessionCells cells;
  private final Evictor evictor;
  private final SessionOptions options;
  private final int limit;
  private long droppedTokens;
  private long insertedTokens;

  /**
   * Checks that the policy can work here.
   *
   * @throws UnsupportedOperationForModelException if the model or the context cannot do it
   */
  Overflow(LlamaContext owner, SessionCells cells, Evictor evictor, SessionOptions options) {
    this.owner = owner;
    this.cells = cells;
    this.evictor = evictor;
    this.options = options;
    int spare =
        options.overflow() instanceof OverflowPolicy.Evict evict
            ? Evictor.spareCells(evict.policy())
            : 0;
    this.limit =
        Math.min(options.budgetTokens().orElse(Integer.MAX_VALUE), owner.sequenceTokens() - spare);
    if (options.overflow() instanceof OverflowPolicy.Fail) {
      return;
    }
    owner.requireFixedScaling();
    if (options.overflow().movesPositions()) {
      owner.requireShiftable();
    }
    long fixed =
        switch (options.overflow()) {
          case OverflowPolicy.Fail _ -> 0;
          case OverflowPolicy.Shift shift -> shift.keep();
          case OverflowPolicy.Streaming streaming -> streaming.sinks();
          case OverflowPolicy.Summarise summarise -> (long) summarise.keep() + summarise.recent();
          case OverflowPolicy.Evict evict ->
              (long) evict.options().sinks() + evict.options().recent();
        };
    if (fixed + 2 > limit) {
      throw new IllegalArgumentException(
          "%s keeps %,d tokens and the session has a budget of %,d; raise the budget or keep fewer"
              .formatted(options.overflow().describe(), fixed, limit));
    }
    if (options.overflow() instanceof OverflowPolicy.Evict) {
      Evictor.requireEvictable(owner);
      observe();
    }
  }

  /** Begins to add up attention, where the policy looks at all of it. */
  private void observe() {
    if (options.overflow() instanceof OverflowPolicy.Evict evict
        && evict.policy().needs().observation() instanceof Observation.Accumulated
        && cells.held().size() == 0) {
      evictor.observeFromStart();
    }
  }

  /** Tokens that the session may hold. */
  int limit() {
    return limit;
  }

  /** Tokens that were dropped so far. */
  long droppedTokens() {
    return droppedTokens;
  }

  /** Index of the next token in the text that was read. */
  int nextIndex() {
    return Math.toIntExact(droppedTokens - insertedTokens + cells.held().size());
  }

  /** A new text begins. */
  void restart() {
    droppedTokens = 0;
    insertedTokens = 0;
    observe();
  }

  boolean fails() {
    return options.overflow() instanceof OverflowPolicy.Fail;
  }

  /**
   * Makes room, if there is none left.
   *
   * @param wanted tokens to come, at least 1
   * @return how many of them may come now, at least 1
   * @throws KvCacheFullException if the policy is to fail and not all of them fit, or nothing more
   *     can be dropped
   */
  int makeRoom(int wanted, Operation operation) {
    int size = cells.held().size();
    if (fails()) {
      if (wanted > limit - size) {
        throw new KvCacheFullException(
            "no room for %,d tokens: the session holds %,d of %,d; raise contextTokens to at least %,d, shorten the text, or choose an OverflowPolicy"
                .formatted(wanted, size, limit, (long) size + wanted));
      }
      return wanted;
    }
    if (size >= limit) {
      switch (options.overflow()) {
        case OverflowPolicy.Fail _ -> throw new IllegalStateException("handled above");
        case OverflowPolicy.Shift shift -> shift(shift);
        case OverflowPolicy.Streaming streaming -> stream(streaming);
        case OverflowPolicy.Summarise summarise -> summarise(summarise, operation);
        case OverflowPolicy.Evict evict -> evict(evict, operation);
      }
    }
    return Math.min(wanted, limit - cells.held().size());
  }

  private void shift(OverflowPolicy.Shift policy) {
    int size = cells.held().size();
    drop(policy.keep(), policy.keep() + Math.max(1, (size - policy.keep()) / 2), true);
  }

  private void stream(OverflowPolicy.Streaming policy) {
    int sinks = policy.sinks();
    int most = limit - sinks - 1;
    int asked = policy.dropAtOnce() == 0 ? Math.max(1, limit / 8) : policy.dropAtOnce();
    drop(sinks, sinks + Math.min(asked, most), false);
    cells.moveUp(sinks);
    if (cells.held().position(0) >= policy.rebaseAfter()) {
      cells.moveToZero();
    }
  }

  private void evict(OverflowPolicy.Evict policy, Operation operation) {
    int[] before = cells.held().ids();
    List<TokenRange> dropped =
        evictor.makeRoom(limit, policy.policy(), policy.options(), operation).dropped();
    int[] ids =
        dropped.stream()
            .flatMapToInt(range -> Arrays.stream(before, range.from(), range.to()))
            .toArray();
    tell(dropped, ids, new int[0]);
  }

  private void drop(int from, int to, boolean closeGap) {
    int[] ids = cells.held().ids(from, to);
    if (closeGap) {
      cells.discard(from, to);
    } else {
      cells.removeRange(from, to);
    }
    tell(List.of(new TokenRange(from, to)), ids, new int[0]);
  }

  private void summarise(OverflowPolicy.Summarise policy, Operation operation) {
    int[] all = cells.held().ids();
    int end = all.length - policy.recent();
    int[] dropped = Arrays.copyOfRange(all, policy.keep(), end);
    int[] summary;
    try {
      summary = policy.summariser().summarise(dropped.clone()).clone();
    } catch (RuntimeException | Error e) {
      throw new CallbackException("the summariser threw; the session holds what it held before", e);
    }
    owner.requireVocabulary(summary);
    if (summary.length > dropped.length / 2) {
      throw new KvCacheFullException(
          "the summary of %,d tokens has %,d, more than half of them; the session holds what it held before"
              .formatted(dropped.length, summary.length));
    }
    int[] positions = cells.held().positions();
    cells.cutTo(policy.keep());
    try {
      cells.feed(summary, 0, summary.length, operation, (done, total) -> {});
      cells.feed(all, end, all.length - end, operation, (done, total) -> {});
    } catch (RuntimeException | Error e) {
      holdAgain(all, positions);
      throw e;
    }
    tell(List.of(new TokenRange(policy.keep(), end)), dropped, summary);
  }

  /** Holds what a failed summary has cut; it is read again with the next call. */
  private void holdAgain(int[] ids, int[] positions) {
    boolean stepsBack = !owner.model().isRecurrent() && !owner.model().isHybrid();
    if (stepsBack || cells.held().size() > 0) { // else it was emptied, as the error says
      cells.drop();
      cells.held().set(ids, positions);
      cells.held().closeGapsFrom(0);
    }
  }

  private void tell(List<TokenRange> ranges, int[] ids, int[] inserted) {
    droppedTokens += ids.length;
    insertedTokens += inserted.length;
    OverflowEvent event =
        new OverflowEvent(options.overflow(), ranges, ids, inserted, cells.held().size());
    try {
      options.overflowListener().onOverflow(event);
    } catch (RuntimeException | Error e) {
      throw new CallbackException("the overflow listener threw; what was dropped is gone", e);
    }
  }
}
