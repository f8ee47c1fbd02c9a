package dev.gatun;

import dev.gatun.error.OperationCancelledException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.internal.ExclusiveGuard;
import dev.gatun.internal.NativeAttention;
import dev.gatun.internal.NativeCells;
import dev.gatun.internal.NativeContext;
import dev.gatun.kv.PageBounds;
import dev.gatun.kv.PageWords;
import dev.gatun.kv.StateSettings;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/**
 * Reads a text in segments through the session of a memory, keeps its pages and brings them back.
 * When reading fails, the segment is read again with the next call.
 */
final class PageReader implements AutoCloseable {
  private final LlamaContext owner;
  private final RetrievalOptions options;
  private final int[] prefix;
  private final PagedText text;
  private final LlamaSession session;
  private final PageStore store;
  private final List<Stored> pages = new ArrayList<>();
  private final StateSettings settings;
  private Optional<PageBounds> bounds = Optional.empty();
  private int read;
  private int residentCells;

  /**
   * A page outside of the cache.
   *
   * @param page its tokens
   * @param position position at which its first token was read
   * @param number its number in the store
   */
  private record Stored(PagedText.Page page, int position, int number) {}

  PageReader(LlamaContext owner, int[] prefix, RetrievalOptions options) {
    this.owner = owner;
    this.options = options;
    this.prefix = prefix.clone();
    this.text = new PagedText(owner.model().tokenizer(), options.pageTokens());
    this.settings = StateIdentity.settingsOfCells(owner);
    this.session = owner.newSession();
    try {
      inside(session, this::requireSupport);
      this.store = PageStore.open(options.file());
    } catch (RuntimeException | Error e) {
      session.close();
      throw e;
    }
  }

  private Void requireSupport() {
    owner.requireShiftable();
    owner.requireFixedScaling();
    if (usesAttention()) {
      try {
        NativeAttention.layers(session.nativeContext());
      } catch (UnsupportedOperationForModelException e) {
        throw new UnsupportedOperationForModelException(
            e.getMessage()
                + "; search by RetrievalOptions.Keys.WORDS alone, with candidateTokens 0",
            e);
      }
    }
    return null;
  }

  private boolean usesAttention() {
    return options.keys() != RetrievalOptions.Keys.WORDS || options.candidateTokens() > 0;
  }

  /** Refuses to mix cells that were read in different ways. */
  void requireSameSettings() {
    Set<String> changed = settings.differing(StateIdentity.settingsOfCells(owner));
    if (!changed.isEmpty()) {
      throw new IllegalStateException(
          "the context no longer reads as it did when this memory was made (%s); put that back, or begin another memory"
              .formatted(String.join(", ", changed)));
    }
  }

  // ---- reading ----------------------------------------------------------------------------------

  /** Appends tokens, and reads what fills segments. */
  void append(int[] ids, Cancellation cancellation) {
    inside(session, () -> keep(ids)); // where a second thread is refused
    readSegments(cancellation);
  }

  private Void keep(int[] ids) {
    text.append(ids);
    return null;
  }

  /** Reads everything. */
  void flush(Cancellation cancellation) {
    readSegments(cancellation);
    if (read < text.size()) {
      readSegment(text.cut(read, text.size(), true), cancellation);
    }
  }

  private void readSegments(Cancellation cancellation) {
    while (text.size() - read >= options.segmentTokens()) {
      readSegment(text.cut(read, read + options.segmentTokens(), false), cancellation);
    }
  }

  private void readSegment(List<PagedText.Page> cut, Cancellation cancellation) {
    int end = cut.getLast().to();
    int before = Math.max(0, read - options.overlapTokens());
    rewind();
    int base = session.size() - before;
    session.append(text.tokens(before, end), cancellation, (_, _) -> {});
    noteResident(0);
    pages.addAll(inside(session, () -> store(cut, base)));
    read = end;
    rewind();
    bounds.ifPresent(PageBounds::settle);
  }

  /** Copies the pages out and takes their keys: all of it, or nothing. */
  private List<Stored> store(List<PagedText.Page> cut, int base) {
    List<Stored> stored = new ArrayList<>();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment[] keys =
          options.keys() == RetrievalOptions.Keys.WORDS ? new MemorySegment[0] : keys(call);
      List<MemorySegment> rows = new ArrayList<>();
      for (PagedText.Page page : cut) {
        rows.add(session.cells().read(base + page.from(), base + page.to(), call));
      }
      int number = store.add(rows);
      for (PagedText.Page page : cut) {
        stored.add(new Stored(page, base + page.from(), number++));
      }
      for (Stored page : keys.length == 0 ? List.<Stored>of() : stored) {
        // A bound grows with the number of keys: a short page is judged with what is before it.
        int end = page.position() + page.page().size();
        int begin = Math.min(page.position(), Math.max(prefix.length, end - options.pageTokens()));
        bounds.orElseThrow().add(keys, begin, end);
      }
    }
    return stored;
  }

  /** Returns the keys of all layers that attend to the whole text. */
  private MemorySegment[] keys(Arena call) {
    NativeContext context = session.nativeContext();
    int[] layers = NativeAttention.layers(context);
    MemorySegment[] keys = new MemorySegment[layers.length];
    int[] widths = new int[layers.length];
    for (int i = 0; i < layers.length; i++) {
      NativeAttention.KeyRows rows =
          NativeAttention.keyRows(context, session.cells().sequence(), layers[i], call);
      keys[i] = rows.values();
      widths[i] = rows.width();
    }
    if (bounds.isEmpty()) {
      bounds = Optional.of(new PageBounds(widths, NativeAttention.headSize(context), store));
    }
    return keys;
  }

  /** Makes the session hold what stands before everything. */
  void rewind() {
    if (prefix.length > 0 && session.readTokens() >= prefix.length) {
      session.truncate(prefix.length);
    } else {
      session.clear();
      session.append(prefix);
    }
  }

  // ---- bringing back ----------------------------------------------------------------------------

  /** Makes another session hold what stands before everything, and then pages. */
  void bring(LlamaSession target, List<Integer> numbers) {
    rewind();
    target.clear();
    target.append(prefix);
    place(target, numbers);
    noteResident(target.size());
  }

  /** Brings pages into a session, behind what it holds. */
  void place(LlamaSession target, List<Integer> numbers) {
    if (!numbers.isEmpty()) {
      inside(target, () -> adopt(target, numbers));
    }
  }

  private Void adopt(LlamaSession target, List<Integer> numbers) {
    try (Arena call = Arena.ofConfined()) {
      List<int[]> ids = new ArrayList<>();
      List<NativeCells.Rows> rows = new ArrayList<>();
      int next = target.cells().held().next();
      for (int number : numbers) {
        Stored stored = pages.get(number);
        int size = stored.page().size();
        long bytes = NativeCells.bytes(target.nativeContext(), size);
        ids.add(tokens(number));
        rows.add(
            new NativeCells.Rows(
                run(stored.position(), size),
                run(next, size),
                store.view(stored.number(), bytes, call)));
        next += size;
      }
      target.cells().adopt(ids, rows);
    }
    return null;
  }

  private static int[] run(int from, int count) {
    int[] run = new int[count];
    Arrays.setAll(run, i -> from + i);
    return run;
  }

  /** Runs a native step inside the guard of the session's context. */
  static <T> T inside(LlamaSession session, Supplier<T> step) {
    session.enter();
    try {
      session.requireIdle();
      return step.get();
    } finally {
      session.exit();
    }
  }

  static void requireNotCancelled(Cancellation cancellation) {
    if (cancellation.isCancelled()) {
      throw new OperationCancelledException("the question was cancelled");
    }
  }

  // ---- what is there ----------------------------------------------------------------------------

  LlamaSession session() {
    return session;
  }

  /** Most tokens that another session may hold while this one holds the prefix. */
  int most(LlamaSession other) {
    int cells = Math.min(owner.sequenceTokens(), options.residentTokens() - prefix.length);
    return Math.min(cells, other.size() + other.remaining());
  }

  /** Tokens that stand before everything. */
  int prefixTokens() {
    return prefix.length;
  }

  /** Tokens appended so far. */
  int textTokens() {
    return text.size();
  }

  int pages() {
    return pages.size();
  }

  PagedText.Page page(int number) {
    return pages.get(number).page();
  }

  private int[] tokens(int number) {
    return text.tokens(page(number).from(), page(number).to());
  }

  /** Judges all pages by what they share with a text. */
  float[] wordScores(int[] probe) {
    return PageWords.scores(probe, pages.size(), this::tokens);
  }

  /** The pages' attention keys; empty when there is no page or nothing is found by them. */
  Optional<PageBounds> bounds() {
    return bounds;
  }

  /** Position behind the longest segment. */
  int segmentEnd() {
    return prefix.length + options.overlapTokens() + options.segmentTokens();
  }

  /** Notes how many cells are in use, with those of another session. */
  void noteResident(int others) {
    residentCells = Math.max(residentCells, session.size() + others);
  }

  int residentCells() {
    return residentCells;
  }

  PageStore store() {
    return store;
  }

  /** Refuses a close from inside a callback of the context. */
  void requireOutside() {
    session.nativeContext().guard().requireOutside("closed");
  }

  /** Closes the session, and the store when no call can have its pages in its hands. */
  @Override
  public void close() {
    ExclusiveGuard guard = session.nativeContext().guard();
    session.close();
    boolean entered = guard.enterWaiting();
    try {
      store.close();
    } finally {
      if (entered) {
        guard.exit();
      }
    }
  }
}
