package dev.gatun;

import dev.gatun.error.ContextCreateException;
import dev.gatun.error.KvCacheFullException;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.error.StateFormatException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.kv.KvCacheType;
import dev.gatun.sampling.Sampler;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;

/**
 * Drives contexts at random and holds each session against a plain list of tokens. Every refusal
 * must be one that the context's options explain.
 *
 * <p>One class although it is long: every step is held against the same lists.
 */
final class SequenceFuzz extends SessionFuzz<SequenceFuzz.Operation> {
  private static final int LONGEST_STATES = 40;
  private static final int OPERATIONS_A_CONTEXT = 40;

  /** What may happen to a session. */
  enum Operation {
    APPEND,
    EVALUATE,
    GENERATE,
    LOGITS,
    TRUNCATE,
    DISCARD,
    RETAIN,
    SPLICE,
    COMPACT,
    FORK,
    CLEAR,
    SAVE,
    RESTORE,
    CANCEL,
    MISUSE,
    COMPARE,
    OPEN,
    CLOSE
  }

  /** By how often they come. */
  private static final List<Operation> MIX =
      mix(
          Arrays.stream(Operation.values()),
          List.of(
              Operation.APPEND,
              Operation.APPEND,
              Operation.EVALUATE,
              Operation.DISCARD,
              Operation.DISCARD,
              Operation.RESTORE));

  /** A session and what it must hold: a plain list of cells. */
  private static final class Held {
    final LlamaSession session;
    final CellModel cells;

    Held(LlamaSession session) {
      this.session = session;
      this.cells = new CellModel(session.options(), session.context().sequenceTokens());
    }

    int size() {
      return cells.size();
    }
  }

  private record Saved(SessionState state, FuzzContext of) {}

  private final List<Saved> states = new ArrayList<>();
  private final List<Held> sessions = new ArrayList<>();
  private int contexts;
  private int refusedContexts;
  private int comparisons;

  SequenceFuzz(List<LlamaModel> models, long seed) {
    super(models, seed, Operation.class);
  }

  int refusedContexts() {
    return refusedContexts;
  }

  int comparisons() {
    return comparisons;
  }

  String summary() {
    return "seed %d: %d contexts, %d more refused, %d refused operations, %d comparisons, %s"
        .formatted(seed, contexts, refusedContexts, refusals, comparisons, counts);
  }

  void run(int operations) {
    int done = 0;
    while (done < operations) {
      choose();
      int most = Math.min(OPERATIONS_A_CONTEXT, operations - done);
      try {
        done += drive(most);
      } catch (RuntimeException | Error e) {
        throw failure("", e);
      }
    }
  }

  private void choose() {
    if (contexts == 0 || random.nextInt(3) > 0) { // else as before, so that states fit
      chosen = FuzzContext.any(models, random);
    }
  }

  /** Whether the sessions may have used up the cells that they share. */
  private boolean poolIsFull(int more) {
    int used = sessions.stream().mapToInt(Held::size).sum();
    ContextOptions options = chosen.options();
    return options.unifiedKv() && options.maxSequences() > 1 && used + more > 256;
  }

  // ---- one context --------------------------------------------------------------------------

  private int drive(int operations) {
    history.clear();
    sessions.clear();
    LlamaContext made;
    try {
      made = chosen.model().newContext(chosen.options());
    } catch (ContextCreateException | UnsupportedOperationForModelException e) {
      require(chosen.mayBeRefused(), "the context was refused: " + e);
      refusedContexts++;
      return 1;
    }
    contexts++;
    try (LlamaContext context = made) {
      for (int i = 0; i < operations; i++) {
        Operation operation = any(MIX);
        count(operation);
        if (sessions.isEmpty() || operation == Operation.OPEN) {
          open(context);
          continue;
        }
        Held held = any(sessions);
        history.add(operation + " " + held.session);
        step(operation, held);
        check(held);
      }
      sessions.forEach(this::check);
      sessions.forEach(this::compare);
    }
    for (Held held : sessions) {
      require(held.session.isClosed(), "the context closes its sessions");
    }
    return operations;
  }

  private void open(LlamaContext context) {
    boolean full = sessions.size() == chosen.options().maxSequences();
    try {
      sessions.add(new Held(context.newSession(chosen.sessionOptions(random))));
      require(!full, "more sessions than sequences");
    } catch (IllegalStateException e) {
      require(full, "no session: " + e);
    }
  }

  private void check(Held held) {
    if (held.session.isClosed()) {
      return;
    }
    int[] tokens = held.session.tokens();
    int[] positions = held.session.positions();
    held.cells.settleLast(positions);
    require(
        Arrays.equals(tokens, held.cells.tokens())
            && Arrays.equals(positions, held.cells.positions()),
        () ->
            "%s holds %s at %s, not %s at %s"
                .formatted(
                    held.session,
                    Arrays.toString(tokens),
                    Arrays.toString(positions),
                    Arrays.toString(held.cells.tokens()),
                    Arrays.toString(held.cells.positions())));
    require(held.session.droppedTokens() == held.cells.dropped(), "dropped tokens");
    require(held.session.remaining() >= 0, "remaining");
    if (!chosen.recurrent() && !chosen.sliding()) {
      int[] cached = cells(held.session);
      require(
          Arrays.equals(cached, Arrays.copyOf(positions, held.session.cells().decoded())),
          () -> "the cache has %s".formatted(Arrays.toString(cached)));
    }
  }

  private int[] tokens() {
    int count = random.nextInt(4) == 0 ? random.nextInt(280) : random.nextInt(24);
    return tokens(count);
  }

  private static void add(Held held, int... tokens) {
    held.cells.append(tokens);
  }

  /** Takes over what a session holds after a call that an overflow policy may have cut short. */
  private static void accept(Held held) {
    held.cells.accept(
        held.session.tokens(), held.session.positions(), held.session.droppedTokens());
  }

  private void step(Operation operation, Held held) {
    LlamaSession session = held.session;
    switch (operation) {
      case APPEND -> {
        int[] tokens = tokens();
        if (fits(held, tokens.length, () -> session.append(tokens))) {
          add(held, tokens);
        }
      }
      case EVALUATE -> {
        int[] tokens = tokens();
        int[] seen = new int[1];
        long first = held.cells.nextNumber();
        if (fits(
            held,
            tokens.length,
            () ->
                session.evaluate(
                    tokens,
                    Cancellation.never(),
                    (index, logits) -> {
                      require(first < 0 || index == first + seen[0]++, "index of the token");
                      requireFinite(Differences.copy(logits));
                    }))) {
          require(first < 0 || seen[0] == tokens.length, "logits of every token");
          add(held, tokens);
        }
      }
      case GENERATE -> generate(held);
      case LOGITS -> logits(held);
      case TRUNCATE -> {
        int to = random.nextInt(held.size() + 1);
        if (allowed(chosen.recurrent() || chosen.sliding(), () -> session.truncate(to))) {
          held.cells.cutTo(to);
        }
      }
      case DISCARD -> discard(held);
      case RETAIN -> retain(held);
      case SPLICE -> splice(held);
      case COMPACT ->
          allowed(
              chosen.model().isRecurrent() && !chosen.model().isHybrid(),
              () -> session.context().compact());
      case FORK -> fork(held);
      case CLEAR -> {
        session.clear();
        held.cells.clear();
      }
      case SAVE -> {
        states.add(new Saved(session.save(), chosen));
        require(states.getLast().state().size() == held.size(), "size of the state");
        if (states.size() > LONGEST_STATES) {
          states.remove(random.nextInt(states.size()));
        }
      }
      case RESTORE -> restore(held);
      case CANCEL -> cancel(held);
      case MISUSE -> misuse(held);
      case COMPARE -> compare(held);
      case OPEN -> throw new IllegalStateException("opened before");
      case CLOSE -> {
        session.close();
        session.close();
        sessions.remove(held);
        require(session.isClosed(), "closed");
      }
    }
  }

  /** Runs a call that needs room; tells whether there was. */
  private boolean fits(Held held, int count, Runnable call) {
    boolean room = count <= held.session.remaining() || held.cells.makesRoom();
    try {
      call.run();
      require(room, "more tokens than fit");
      return true;
    } catch (KvCacheFullException e) {
      require(!room || poolIsFull(count), () -> "there was room: " + e);
      lostRoom(held);
      return false;
    }
  }

  private void lostRoom(Held held) {
    refusals++;
    if (chosen.recurrent() && held.session.size() == 0) {
      held.cells.clear(); // as its message says
    }
    if (held.cells.makesRoom()) {
      accept(held);
    } else {
      readAgain(held);
    }
  }

  /** What a sliding window had to forget is read again, without gaps. */
  private void readAgain(Held held) {
    if (chosen.sliding()) {
      require(Arrays.equals(held.session.tokens(), held.cells.tokens()), "tokens read again");
      accept(held);
    }
  }

  private void generate(Held held) {
    int[] prompt = random.nextBoolean() ? new int[0] : tokens();
    int most = 1 + random.nextInt(4);
    GenerationOptions greedy =
        GenerationOptions.defaults().withSampler(Sampler.greedy()).withMaxTokens(most);
    if (held.size() + prompt.length == 0) {
      refusedMisuse(
          IllegalStateException.class, () -> held.session.generate(prompt, greedy).close());
      return;
    }
    int[] before = held.session.tokens();
    boolean room = prompt.length <= held.session.remaining() || held.cells.makesRoom();
    try (Generation generation = held.session.generate(prompt, greedy)) {
      generation.text();
    } catch (KvCacheFullException e) {
      require(!room || poolIsFull(prompt.length + most), () -> "there was room: " + e);
      refusals++;
    } catch (UnsupportedOperationForModelException e) {
      require(chosen.recurrent(), () -> "refused without a reason: " + e);
      refusals++;
    }
    int[] now = held.session.tokens();
    int kept = Math.min(before.length, now.length);
    require(
        held.cells.makesRoom()
            || (Arrays.equals(now, 0, kept, before, 0, kept)
                && (kept == before.length || chosen.recurrent())
                && now.length <= before.length + prompt.length + most),
        () -> "after generating: " + Arrays.toString(now) + ", before " + Arrays.toString(before));
    require(now.length <= held.cells.limit(), "the budget");
    accept(held);
  }

  private void logits(Held held) {
    if (held.size() == 0) {
      refusedMisuse(IllegalStateException.class, () -> held.session.logits());
      return;
    }
    try {
      allowed(chosen.recurrent(), () -> requireFinite(Differences.copy(held.session.logits())));
      readAgain(held);
    } catch (KvCacheFullException e) {
      require(poolIsFull(1), () -> "there was room: " + e);
      lostRoom(held);
    }
  }

  private void discard(Held held) {
    int size = held.size();
    int from = random.nextInt(size + 1);
    int to = from + random.nextInt(size - from + 1);
    boolean end = to == size;
    try {
      boolean done =
          allowed(
              end
                  ? chosen.recurrent() || chosen.sliding()
                  : chosen.keysCannotMove() || chosen.sliding(),
              () -> held.session.discard(from, to));
      if (done) {
        require(end || from == to || !chosen.keysCannotMove(), "moved what cannot move");
        held.cells.discard(from, to);
      }
    } catch (KvCacheFullException e) {
      require(poolIsFull(1), () -> "there was room: " + e);
      refusals++;
    }
  }

  private void retain(Held held) {
    BitSet keep = new BitSet();
    int share = 1 + random.nextInt(9);
    for (int i = 0; i < held.size(); i++) {
      keep.set(i, random.nextInt(10) < share);
    }
    boolean refused = chosen.recurrent() || chosen.isDynamic();
    if (allowed(refused, () -> held.session.retain(keep))) {
      require(!refused, "retained what cannot be");
      held.cells.retain(keep, held.session.cells().decoded());
    }
  }

  private void splice(Held held) {
    int size = held.size();
    int at = random.nextInt(size + 1);
    int removed = random.nextInt(3) == 0 ? 0 : random.nextInt(size - at + 1);
    int[] inserted = tokens();
    boolean fits = inserted.length - removed <= held.session.remaining();
    boolean refused = chosen.keysCannotMove() || chosen.isDynamic();
    boolean mayBeRefused = refused || chosen.sliding(); // its old cells may be gone
    try {
      if (allowed(mayBeRefused, () -> held.session.splice(at, removed, inserted))) {
        require(!refused && fits, "spliced what cannot be spliced");
        held.cells.splice(at, removed, inserted);
      }
    } catch (KvCacheFullException e) {
      require(!fits || poolIsFull(inserted.length), () -> "there was room: " + e);
      refusals++;
    }
  }

  private void fork(Held held) {
    boolean full = sessions.size() == chosen.options().maxSequences();
    try {
      Held copy = new Held(held.session.fork());
      copy.cells.accept(
          held.session.tokens(), held.session.positions(), copy.session.droppedTokens());
      sessions.add(copy);
      require(!full, "more sessions than sequences");
      check(copy);
    } catch (IllegalStateException e) {
      require(full, () -> "no fork: " + e);
      refusals++;
    }
  }

  private void restore(Held held) {
    if (states.isEmpty()) {
      return;
    }
    Saved saved = any(states);
    SessionState state = saved.state();
    boolean room = state.size() <= held.session.size() + held.session.remaining();
    try {
      held.session.restore(state);
      require(room, "restored more than fits");
      held.cells.accept(state.tokens(), state.positions(), 0);
    } catch (StateFormatException e) {
      boolean same = saved.of().equals(chosen);
      require(!same || chosen.isDynamic(), () -> "the same options: " + e);
      refusals++;
    } catch (KvCacheFullException e) {
      require(!room || poolIsFull(state.size()), () -> "there was room: " + e);
      refusals++;
      if (room) {
        held.cells.clear();
      }
    }
  }

  private void cancel(Held held) {
    int[] tokens = tokens();
    Cancellation cancellation = Cancellation.create();
    boolean before = random.nextBoolean();
    if (before) {
      cancellation.cancel();
    }
    try {
      held.session.append(tokens, cancellation, (done, total) -> cancellation.cancel());
      add(held, tokens);
    } catch (OperationCancelledException e) {
      lostRoom(held);
    } catch (KvCacheFullException e) {
      require(
          tokens.length > held.session.remaining() || poolIsFull(tokens.length),
          () -> "there was room: " + e);
      lostRoom(held);
    }
  }

  private void misuse(Held held) {
    LlamaSession session = held.session;
    int size = held.size();
    Class<IndexOutOfBoundsException> bounds = IndexOutOfBoundsException.class;
    switch (random.nextInt(5)) {
      case 0 -> refusedMisuse(bounds, () -> session.append(5, -1));
      case 1 -> refusedMisuse(bounds, () -> session.append(ReferenceFiles.VOCABULARY));
      case 2 -> refusedMisuse(bounds, () -> session.truncate(size + 1));
      case 3 -> refusedMisuse(bounds, () -> session.discard(size, size + 1));
      default -> refusedMisuse(bounds, () -> session.discard(-1, size));
    }
  }

  private void refusedMisuse(Class<? extends RuntimeException> type, Runnable call) {
    try {
      call.run();
    } catch (RuntimeException e) {
      require(type.isInstance(e) || e instanceof KvCacheFullException, () -> "wrong error: " + e);
      refusals++;
      return;
    }
    throw new AssertionError("a misuse was not refused");
  }

  /**
   * A session of one layer, whatever happened to it, says what a new one says that reads its
   * tokens.
   */
  private void compare(Held held) {
    ContextOptions options = chosen.options();
    boolean layers = chosen.sliding() || chosen.recurrent();
    boolean exact =
        options.keyType() == KvCacheType.F32
            && options.valueType() == KvCacheType.F32
            && (options.flashAttention() == FlashAttention.OFF || chosen.bands());
    boolean halves = options.keyType() == KvCacheType.F16 && !options.valueType().isQuantised();
    if (layers || held.size() == 0 || !held.cells.isWhole() || !(exact || halves)) {
      return;
    }
    double[] actual;
    try {
      actual = Differences.copy(held.session.logits());
    } catch (KvCacheFullException e) {
      require(poolIsFull(1), () -> "there was room: " + e);
      return;
    }
    int[] tokens = held.session.tokens();
    try (LlamaContext context = chosen.model().newContext(options);
        LlamaSession session = context.newSession()) {
      session.append(tokens);
      if (!context.ropeScaling().equals(held.session.context().ropeScaling())) {
        return; // it was longer once
      }
      double difference = Differences.max(Differences.copy(session.logits()), actual);
      require(difference < (exact ? 1e-3 : 0.2), () -> "logits differ by " + difference);
      comparisons++;
    }
  }

  private static void requireFinite(double[] logits) {
    for (double logit : logits) {
      require(Double.isFinite(logit), "a logit is not finite");
    }
  }
}
