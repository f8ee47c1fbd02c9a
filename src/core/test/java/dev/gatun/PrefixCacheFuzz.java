package dev.gatun;

import dev.gatun.error.KvCacheFullException;
import dev.gatun.internal.NativeCells;
import dev.gatun.kv.KvCacheType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.function.ToLongFunction;
import java.util.stream.Stream;

/**
 * Drives contexts with a prefix cache at random. Each session is held against a plain list of
 * tokens, and what the cache finds against the list of the texts that it was given.
 */
final class PrefixCacheFuzz extends SessionFuzz<PrefixCacheFuzz.Operation> {
  private static final int OPERATIONS_A_CONTEXT = 60;

  enum Operation {
    OPEN,
    APPEND,
    STORE,
    FORK,
    TRUNCATE,
    DISCARD,
    RETAIN,
    SAVE,
    SPILL,
    RESTORE,
    CLOSE,
    RELEASE,
    FORGET,
    COMPARE
  }

  /** By how often they come. */
  private static final List<Operation> MIX =
      mix(
          Arrays.stream(Operation.values()).filter(operation -> operation != Operation.FORGET),
          List.of(
              Operation.OPEN,
              Operation.OPEN,
              Operation.OPEN,
              Operation.OPEN,
              Operation.OPEN,
              Operation.STORE,
              Operation.STORE,
              Operation.STORE,
              Operation.APPEND));

  /** A session, what it must hold, and how much of it a plain reading would leave. */
  private static final class Held {
    final LlamaSession session;
    int[] tokens = new int[0];
    int plain;

    Held(LlamaSession session) {
      this.session = session;
    }
  }

  private record Saved(SessionState state, int[] tokens, int plain) {}

  private final Path folder;
  private final List<Held> sessions = new ArrayList<>();
  private final List<Saved> states = new ArrayList<>();
  private final List<int[]> stored = new ArrayList<>();

  /** What was read behind a text that was opened: states are kept on the way. */
  private final List<int[]> opened = new ArrayList<>();

  private final List<PrefixCacheStats> totals = new ArrayList<>();
  private PrefixCacheOptions tiers = PrefixCacheOptions.defaults();
  private int comparisons;
  private int exactFinds;

  PrefixCacheFuzz(List<LlamaModel> models, Path folder, long seed) {
    super(models, seed, Operation.class);
    this.folder = folder;
  }

  int comparisons() {
    return comparisons;
  }

  int exactFinds() {
    return exactFinds;
  }

  long total(ToLongFunction<PrefixCacheStats> part) {
    return totals.stream().mapToLong(part).sum();
  }

  String summary() {
    return "seed %d: %d contexts, %d comparisons, %d exact finds, %,d of %,d tokens saved, %d spills to host, %d to disk, %d loads, %d evictions, %s"
        .formatted(
            seed,
            totals.size(),
            comparisons,
            exactFinds,
            total(PrefixCacheStats::tokensSaved),
            total(PrefixCacheStats::tokensLookedUp),
            total(PrefixCacheStats::spillsToHost),
            total(PrefixCacheStats::spillsToDisk),
            total(PrefixCacheStats::loadBacks),
            total(PrefixCacheStats::evictions),
            counts);
  }

  void run(int operations) {
    for (int done = 0; done < operations; done += OPERATIONS_A_CONTEXT) {
      choose();
      try {
        drive();
      } catch (RuntimeException | Error e) {
        throw failure(", " + tiers, e);
      }
    }
  }

  private void choose() {
    LlamaModel model = any(models);
    int sequences = 1 + random.nextInt(6);
    boolean unified = random.nextInt(4) > 0;
    int tokens = random.nextInt(3) == 0 ? 1024 : 256;
    ContextOptions options =
        ContextOptions.defaults()
            .withContextTokens(unified ? tokens : tokens * sequences)
            .withBatchTokens(any(List.of(64, 512)))
            .withMicroBatchTokens(any(List.of(16, 64)))
            .withThreads(1)
            .withBatchThreads(1)
            .withMaxSequences(sequences)
            .withUnifiedKv(unified)
            .withKeyType(KvCacheType.F32)
            .withValueType(KvCacheType.F32)
            .withFlashAttention(FlashAttention.OFF)
            .withFullSlidingWindow(random.nextBoolean());
    chosen = new FuzzContext(model, options);
    tiers =
        PrefixCacheOptions.defaults()
            .withResidentTokens(any(List.of(0, 60, 200, Integer.MAX_VALUE)))
            .withResidentSequences(any(List.of(1, 3, 64)))
            .withHostBytes(any(List.of(0L, 40_000L, 200_000L, 1L << 30)));
    if (random.nextBoolean()) {
      tiers = tiers.withDisk(folder, any(List.of(0L, 100_000L, 1L << 30)));
    }
    tiers = tiers.withExact(random.nextInt(5) == 0);
  }

  private boolean pieces() {
    return !chosen.recurrent() && !chosen.sliding();
  }

  /** Whether the sessions alone may have used up the cells. */
  private boolean full(int more) {
    int used = sessions.stream().mapToInt(held -> held.tokens.length).sum();
    return used + more > sequenceTokens();
  }

  private int sequenceTokens() {
    return chosen.options().unifiedKv()
        ? chosen.options().contextTokens().orElseThrow()
        : chosen.options().contextTokens().orElseThrow() / chosen.options().maxSequences();
  }

  private void drive() {
    history.clear();
    sessions.clear();
    states.clear();
    stored.clear();
    opened.clear();
    try (LlamaContext context = chosen.model().newContext(chosen.options())) {
      tiers = tiers.withExact(tiers.exact() && context.meetsCellsInOrder() && !chosen.sliding());
      PrefixCache cache = context.newPrefixCache(tiers);
      for (int i = 0; i < OPERATIONS_A_CONTEXT; i++) {
        Operation operation = random.nextInt(100) == 0 ? Operation.FORGET : any(MIX);
        count(operation);
        if (sessions.isEmpty() || (operation == Operation.OPEN && random.nextBoolean())) {
          newSession(context);
        }
        Held held = any(sessions);
        history.add(operation + " " + held.session);
        step(operation, held, cache);
        check(cache);
      }
      finish(context, cache);
    }
  }

  private void newSession(LlamaContext context) {
    boolean full = sessions.size() == chosen.options().maxSequences();
    try {
      sessions.add(new Held(context.newSession()));
      require(!full, "more sessions than sequences");
    } catch (IllegalStateException e) {
      require(full, () -> "the cache does not give sequences back: " + e);
    }
  }

  private void step(Operation operation, Held held, PrefixCache cache) {
    switch (operation) {
      case OPEN -> open(held, cache);
      case APPEND -> append(held, tokens(1 + random.nextInt(30)));
      case STORE -> store(held, cache);
      case FORK -> fork(held);
      case TRUNCATE -> {
        int to = random.nextInt(held.tokens.length + 1);
        if (allowed(chosen.recurrent() || chosen.sliding(), () -> held.session.truncate(to))) {
          held.tokens = Arrays.copyOf(held.tokens, to);
          held.plain = Math.min(held.plain, to);
        }
      }
      case DISCARD -> discard(held);
      case RETAIN -> retain(held);
      case SAVE -> states.add(new Saved(held.session.save(), held.tokens, held.plain));
      case SPILL -> { // what an engine does to preempt a request
        SessionState state = held.session.save();
        held.session.clear();
        restore(held, new Saved(state, held.tokens, held.plain));
      }
      case RESTORE -> {
        if (!states.isEmpty()) {
          restore(held, any(states));
        }
      }
      case CLOSE -> {
        held.session.close();
        sessions.remove(held);
      }
      case RELEASE -> cache.release(held.session);
      case FORGET -> {
        cache.clear();
        stored.clear();
        opened.clear();
      }
      case COMPARE -> compare(held);
    }
  }

  private static int[] join(int[] a, int[] b) {
    int[] joined = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, joined, a.length, b.length);
    return joined;
  }

  /** Mostly the beginning of a known text, and something new. */
  private int[] text() {
    int[] known = stored.isEmpty() || random.nextInt(6) == 0 ? new int[0] : any(stored);
    int most = Math.min(known.length, sequenceTokens() - 40);
    int cut = random.nextInt(3) == 0 ? most : random.nextInt(most + 1);
    return join(Arrays.copyOf(known, cut), tokens(random.nextInt(40)));
  }

  private void open(Held held, PrefixCache cache) {
    held.session.clear();
    held.tokens = new int[0];
    held.plain = 0;
    int[] text = text();
    PrefixCacheStats before = cache.stats();
    PrefixReuse reuse = cache.open(held.session, text);
    int length = reuse.tokens();
    held.tokens = Arrays.copyOf(text, length);
    held.plain = length;
    check(held);
    int longest = longest(text);
    int possible = pieces() ? longest : Math.max(longest, common(opened, text));
    require(length <= possible, () -> "found %d of %d".formatted(length, possible));
    int block = stored.stream().mapToInt(other -> other.length).max().orElse(0); // comes whole
    if (tiers.hostBytes() == 1L << 30
        && cache.stats().evictions() == 0
        && !full(Math.max(block, text.length))) {
      boolean enough = pieces() ? length == longest : length >= longest;
      require(enough, () -> "found %d and not %d".formatted(length, longest));
      exactFinds++;
    }
    opened.add(text);
    require(cache.stats().lookups() == before.lookups() + 1, "lookups");
    append(held, reuse.rest(text));
  }

  private static int common(List<int[]> texts, int[] text) {
    int longest = 0;
    for (int[] other : texts) {
      int at = Arrays.mismatch(other, text);
      longest = Math.max(longest, Math.min(at < 0 ? text.length : at, text.length - 1));
    }
    return longest;
  }

  /** What the cache must find as long as it has room. */
  private int longest(int[] text) {
    int longest = 0;
    int multiple =
        tiers.exact()
            ? Math.min(chosen.options().microBatchTokens(), chosen.options().batchTokens())
            : 1;
    for (int[] other : stored) {
      int at = Arrays.mismatch(other, text);
      int common = Math.min(at < 0 ? text.length : at, text.length - 1);
      common -= common % multiple;
      if (pieces() || common == other.length) {
        longest = Math.max(longest, common);
      }
    }
    return longest;
  }

  private void store(Held held, PrefixCache cache) {
    int count = cache.store(held.session);
    require(count <= held.plain, () -> "stored %d of %d".formatted(count, held.plain));
    boolean ample = tiers.hostBytes() == 1L << 30 && !tiers.exact();
    boolean allowed = pieces() || held.plain == held.tokens.length;
    require(
        !ample || count == (allowed ? held.plain : 0),
        () -> "stored %d and not %d".formatted(count, held.plain));
    if (count > 0) {
      stored.add(Arrays.copyOf(held.tokens, count));
    }
  }

  private void append(Held held, int[] more) {
    boolean room = more.length <= held.session.remaining();
    try {
      held.session.append(more);
      if (held.plain == held.tokens.length) {
        held.plain += more.length;
      }
      held.tokens = join(held.tokens, more);
    } catch (KvCacheFullException e) {
      require(!room || full(more.length), () -> "there was room: " + e);
      if (chosen.recurrent() && held.session.size() == 0) {
        held.tokens = new int[0];
        held.plain = 0;
      }
    }
  }

  private void fork(Held held) {
    boolean full = sessions.size() == chosen.options().maxSequences();
    try {
      Held copy = new Held(held.session.fork());
      copy.tokens = held.tokens;
      copy.plain = held.plain;
      sessions.add(copy);
      require(!full, "more sessions than sequences");
    } catch (IllegalStateException e) {
      require(full, () -> "no fork: " + e);
    }
  }

  private void discard(Held held) {
    int from = random.nextInt(held.tokens.length + 1);
    int to = from + random.nextInt(held.tokens.length - from + 1);
    boolean movable = pieces();
    try {
      if (allowed(!movable, () -> held.session.discard(from, to))) {
        int[] rest = Arrays.copyOfRange(held.tokens, to, held.tokens.length);
        held.tokens = join(Arrays.copyOf(held.tokens, from), rest);
        held.plain = from == to ? held.plain : Math.min(held.plain, from);
      }
    } catch (KvCacheFullException e) {
      require(full(held.tokens.length), () -> "there was room: " + e);
    }
  }

  private void retain(Held held) {
    if (!pieces() || held.tokens.length == 0) {
      return;
    }
    BitSet keep = new BitSet();
    keep.set(0, held.tokens.length);
    int from = random.nextInt(held.tokens.length);
    keep.clear(from, from + 1 + random.nextInt(held.tokens.length - from));
    held.session.retain(keep);
    held.tokens = keep.stream().map(i -> held.tokens[i]).toArray();
    held.plain = Math.min(held.plain, from);
  }

  private void restore(Held held, Saved saved) {
    boolean room = saved.state().size() <= sequenceTokens();
    held.tokens = new int[0];
    held.plain = 0;
    try {
      held.session.restore(saved.state());
      held.tokens = saved.tokens();
      held.plain = saved.plain();
    } catch (KvCacheFullException e) {
      require(!room || full(saved.state().size()), () -> "there was room: " + e);
    }
  }

  private void check(Held held) {
    require(
        Arrays.equals(held.tokens, held.session.tokens()),
        () ->
            "%s holds %s and not %s"
                .formatted(
                    held.session,
                    Arrays.toString(held.session.tokens()),
                    Arrays.toString(held.tokens)));
    if (pieces()) {
      int[] cells = cells(held.session);
      require(
          Arrays.equals(held.session.positions(), cells),
          () ->
              "%s has cells at %s and not at %s"
                  .formatted(
                      held.session,
                      Arrays.toString(cells),
                      Arrays.toString(held.session.positions())));
    }
  }

  private void check(PrefixCache cache) {
    cache.verify();
    sessions.forEach(this::check);
    PrefixCacheStats stats = cache.stats();
    require(stats.residentTokens() <= tiers.residentTokens(), stats::toString);
    require(stats.residentSequences() <= tiers.residentSequences(), stats::toString);
    require(stats.hostBytes() <= tiers.hostBytes(), stats::toString);
    require(
        stats.diskBytes() <= tiers.disk().map(PrefixCacheOptions.Disk::bytes).orElse(0L),
        stats::toString);
    require(stats.failures() == 0, stats::toString);
    if (pieces() && chosen.options().unifiedKv() && !sessions.isEmpty()) {
      int held = sessions.stream().mapToInt(each -> each.tokens.length).sum();
      int used = used(sessions.getFirst().session);
      require(
          used <= held + stats.residentTokens() && used >= stats.residentTokens(),
          () -> "%d cells for %d tokens and %s".formatted(used, held, stats));
    }
  }

  private static int used(LlamaSession session) {
    session.enter();
    try {
      return NativeCells.usage(session.nativeContext(), 0).used();
    } finally {
      session.exit();
    }
  }

  /** Whatever happened to a session, it says what one says that has just read its tokens. */
  private void compare(Held held) {
    // A layer does not mind what another one saw of tokens that are gone.
    boolean whole = held.session.position() == held.tokens.length;
    boolean exact = held.plain == held.tokens.length || (pieces() && whole);
    if (!exact || held.session.remaining() < 1 || full(1)) {
      return;
    }
    append(held, tokens(1)); // of a recurrent state the logits are not there any more
    double[] actual = Differences.copy(held.session.logits());
    try (LlamaContext context = chosen.model().newContext(chosen.options());
        LlamaSession session = context.newSession()) {
      session.append(held.tokens);
      double difference = Differences.max(Differences.copy(session.logits()), actual);
      require(
          difference < (pieces() ? 1e-3 : 5e-3),
          () ->
              "%s, %d plain: logits differ by %s".formatted(held.session, held.plain, difference));
      comparisons++;
    }
  }

  private void finish(LlamaContext context, PrefixCache cache) {
    sessions.forEach(this::compare);
    totals.add(cache.stats());
    sessions.forEach(held -> held.session.close());
    sessions.clear();
    if (random.nextInt(4) == 0) {
      context.close(); // with all that the cache holds
    } else {
      if (pieces() && chosen.options().unifiedKv()) {
        // The one session must not take anything from the cache.
        int resident = (int) cache.stats().residentTokens();
        if (cache.stats().residentSequences() < chosen.options().maxSequences()) {
          try (LlamaSession session = context.newSession()) {
            require(used(session) == resident, "the cache's cells and no others");
            cache.close();
            require(used(session) == 0, "a cell was left");
          }
        }
      }
      cache.close();
      for (int i = 0; i < chosen.options().maxSequences(); i++) {
        context.newSession();
      }
    }
    PrefixCacheStats stats = cache.stats();
    require(stats.hostBytes() == 0 && stats.diskBytes() == 0, stats::toString);
    try (Stream<Path> files = Files.list(folder)) {
      require(files.findAny().isEmpty(), "a file was left");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
