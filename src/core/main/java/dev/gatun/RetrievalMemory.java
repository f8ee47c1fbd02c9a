package dev.gatun;

import dev.gatun.error.AlreadyClosedException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.internal.NativeAttention;
import dev.gatun.internal.NativeCells;
import dev.gatun.internal.NativeContext;
import dev.gatun.kv.PageBounds;
import dev.gatun.kv.PageWords;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Supplier;

/**
 * Remembers a text far longer than the cache. The text is read in segments; the cells of each are
 * copied out as pages, to memory or to a file. For a question the few pages that matter are brought
 * back into a session, in the order of the text, and the question is answered from them. The cells
 * in the cache stay within {@link RetrievalOptions#residentTokens()} however long the text is.
 *
 * <pre>{@code
 * try (LlamaContext context = model.newContext(options.withMaxSequences(2));
 *     LlamaSession session = context.newSession();
 *     RetrievalMemory memory = RetrievalMemory.over(context, RetrievalOptions.defaults())) {
 *   memory.append(book);
 *   int[] question = model.tokenizer().encode("\nWhere does Lena live?\n");
 *   String answer = memory.ask(session, question, GenerationOptions.defaults()).text();
 * }
 * }</pre>
 *
 * <p>How pages are found: the model drafts an answer without the text; all pages are judged by
 * their {@link RetrievalOptions.Keys keys}; the best are put before the question a cacheful at a
 * time, and the model's own attention says which of them count, until they fit in one.
 *
 * <p>Lifetime: it takes one of the context's sequences until it is closed. What it keeps lies
 * outside of the Java heap or in the file, and is gone when it is closed.
 *
 * <p>Sources: pages and their return: Xiao et al., "InfLLM", 2024, section 3; page bounds: Tang et
 * al., "Quest", 2024; attention as retrieval: Liu et al., "RetrievalAttention", 2024; searching
 * with a drafted answer: Gao et al., "Precise Zero-Shot Dense Retrieval" (HyDE), 2022, cut before
 * its first guess: Jiang et al., "Active Retrieval Augmented Generation" (FLARE), 2023.
 */
@ThreadConfined("the thread that drives the context")
public final class RetrievalMemory implements AutoCloseable {
  /** Pages must have company when the model looks at them, or nothing would be decided. */
  private static final int LEAST_PAGES = 6;

  private final LlamaContext owner;
  private final RetrievalOptions options;
  private final int[] prefix;
  private final LlamaSession reader;
  private final PageStore store;
  private final PagedText text;
  private final PageWords words = new PageWords();
  private final List<Stored> pages = new ArrayList<>();
  private Optional<PageBounds> bounds = Optional.empty();
  private int read;
  private int residentCells;
  private boolean closed;

  /**
   * A page outside of the cache.
   *
   * @param page its tokens
   * @param position position at which its first token was read
   * @param number its number in the store
   */
  private record Stored(PagedText.Page page, int position, int number) {}

  private RetrievalMemory(LlamaContext owner, int[] prefix, RetrievalOptions options) {
    this.owner = owner;
    this.options = options;
    this.prefix = prefix.clone();
    owner.requireVocabulary(prefix);
    requireFit();
    this.text = new PagedText(owner.model().tokenizer(), options.pageTokens());
    this.reader = owner.newSession();
    try {
      inside(reader, this::requireSupport);
      this.store = PageStore.open(options.file());
    } catch (RuntimeException | Error e) {
      reader.close();
      throw e;
    }
  }

  /**
   * Returns an empty memory. Before everything that it reads and recalls stands the model's
   * begin-of-sequence token, if it has one.
   *
   * @param context has a sequence to spare, and at least {@link RetrievalOptions#residentTokens()}
   *     cells. A position scaling that keeps the trained length's quality among that many cells
   *     serves best; under {@link dev.gatun.rope.RopeScaling#rerope()} pages come back without any
   *     turn of their keys
   * @throws UnsupportedOperationForModelException if the model's cells cannot be taken apart or
   *     moved, or if its attention cannot be observed and the options ask for it
   */
  public static RetrievalMemory over(LlamaContext context, RetrievalOptions options) {
    Tokenizer tokenizer = context.model().tokenizer();
    OptionalInt begin = tokenizer.addsBos() ? tokenizer.bos() : OptionalInt.empty();
    return over(context, begin.isPresent() ? new int[] {begin.getAsInt()} : new int[0], options);
  }

  /**
   * Returns an empty memory.
   *
   * @param prefix what stands before everything that is read and recalled, such as the beginning of
   *     a chat; attention that finds nothing falls back on it
   * @throws UnsupportedOperationForModelException as {@link #over(LlamaContext, RetrievalOptions)}
   */
  public static RetrievalMemory over(LlamaContext context, int[] prefix, RetrievalOptions options) {
    return new RetrievalMemory(context, prefix, options);
  }

  private void requireFit() {
    int segment = prefix.length + options.overlapTokens() + options.segmentTokens();
    int cells = Math.min(options.residentTokens(), owner.sequenceTokens());
    if (options.residentTokens() > owner.contextTokens()) {
      throw new IllegalArgumentException(
          "%,d resident tokens do not fit into a context of %,d; raise contextTokens or lower residentTokens"
              .formatted(options.residentTokens(), owner.contextTokens()));
    }
    if (segment > cells) {
      throw new IllegalArgumentException(
          "a segment of %,d tokens with what stands before it does not fit into %,d cells; lower segmentTokens"
              .formatted(segment, cells));
    }
  }

  private Void requireSupport() {
    owner.requireShiftable();
    owner.requireFixedScaling();
    if (usesAttention()) {
      try {
        NativeAttention.layers(reader.nativeContext());
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

  // ---- reading ----------------------------------------------------------------------------------

  /**
   * Appends a text; special tokens in it stay text.
   *
   * @param part any length; give a very long text in parts that end where words end
   */
  public void append(String part) {
    append(owner.model().tokenizer().encode(part, false, false));
  }

  /** Appends tokens. What does not fill a segment is read with the next call. */
  public void append(int... ids) {
    append(ids, Cancellation.never());
  }

  /**
   * Appends tokens. What does not fill a segment is read with the next call.
   *
   * @param cancellation ends it between segments or inside one
   * @throws dev.gatun.error.OperationCancelledException if it was cancelled; the next call reads on
   */
  public void append(int[] ids, Cancellation cancellation) {
    requireOpen();
    owner.requireVocabulary(ids);
    text.append(ids);
    while (text.size() - read >= options.segmentTokens()) {
      readSegment(text.cut(read, read + options.segmentTokens(), false), cancellation);
    }
  }

  /** Reads what waits for more text. Questions do so themselves. */
  public void flush() {
    requireOpen();
    if (read < text.size()) {
      readSegment(text.cut(read, text.size(), true), Cancellation.never());
    }
  }

  private void readSegment(List<PagedText.Page> cut, Cancellation cancellation) {
    int end = cut.getLast().to();
    int before = Math.max(0, read - options.overlapTokens());
    rewind(prefix.length);
    int base = reader.size() - before;
    reader.append(text.tokens(before, end), cancellation, (_, _) -> {});
    noteResident(0);
    List<Stored> stored = inside(reader, () -> store(cut, base));
    for (Stored page : stored) {
      words.add(text.tokens(page.page().from(), page.page().to()));
    }
    pages.addAll(stored);
    read = end;
    rewind(prefix.length);
  }

  /** Copies the pages out and takes their keys. */
  private List<Stored> store(List<PagedText.Page> cut, int base) {
    List<Stored> stored = new ArrayList<>();
    NativeContext context = reader.nativeContext();
    try (Arena arena = Arena.ofConfined()) {
      for (PagedText.Page page : cut) {
        MemorySegment rows = reader.cells().read(base + page.from(), base + page.to(), arena);
        stored.add(new Stored(page, base + page.from(), store.add(rows)));
      }
    }
    if (options.keys() != RetrievalOptions.Keys.WORDS) {
      int[] layers = NativeAttention.layers(context);
      float[][] keys = new float[layers.length][];
      int[] widths = new int[layers.length];
      for (int i = 0; i < layers.length; i++) {
        NativeAttention.Keys layer =
            NativeAttention.keys(context, reader.cells().sequence(), layers[i]);
        keys[i] = layer.values();
        widths[i] = layer.width();
      }
      PageBounds all =
          bounds.orElseGet(() -> new PageBounds(widths, NativeAttention.headSize(context)));
      bounds = Optional.of(all);
      for (Stored page : stored) {
        // A bound grows with the number of keys: a short page is judged with what is before it.
        int end = page.position() + page.page().size();
        int begin = Math.min(page.position(), Math.max(prefix.length, end - options.pageTokens()));
        all.add(keys, begin, end);
      }
    }
    return stored;
  }

  /** Makes the reader hold the prefix, or a beginning of what it holds. */
  private void rewind(int tokens) {
    if (reader.size() >= Math.max(tokens, 1)) {
      reader.truncate(tokens);
    } else {
      reader.clear();
      if (tokens > 0) {
        reader.append(prefix);
      }
    }
  }

  // ---- recalling --------------------------------------------------------------------------------

  /**
   * Empties a session and brings into it what stands before the text and then the pages that matter
   * for a question, one after the other in the order of the text. The caller appends the question
   * and generates.
   *
   * @param session another session of the same context; its question and answer have the cells that
   *     {@link RetrievalOptions#residentTokens()} leaves
   * @param question what will be appended, with everything around it; pages are found for it
   * @return what was brought back and what it took
   * @throws IllegalArgumentException if the question leaves no room for pages
   */
  public RetrievalReport recall(LlamaSession session, int... question) {
    PageSearch search = newSearch(session, question);
    List<Integer> found = search.chosen(search.find(), options.recallTokens());
    long began = System.nanoTime();
    bring(session, found);
    return search.report(found, System.nanoTime() - began);
  }

  /**
   * Answers a question: pages are found for it once, and it is answered from all recalled pages,
   * from the best half of them, from a quarter and so on. Of {@link RetrievalOptions#attempts()}
   * answers the most probable one is returned: among many pages that are alike a model confuses
   * them, and among few the right one may be missing. The session then holds the pages, the
   * question and that answer.
   *
   * @param session another session of the same context
   * @param question with everything around it
   * @param generation how to answer; its greatest length is cut to what {@link
   *     RetrievalOptions#residentTokens()} leaves
   * @throws IllegalArgumentException if the question leaves no room for pages
   * @throws dev.gatun.error.OperationCancelledException if the generation was cancelled
   */
  public RetrievalAnswer ask(LlamaSession session, int[] question, GenerationOptions generation) {
    return new PageAnswers(this, session, question, generation).best(newSearch(session, question));
  }

  private PageSearch newSearch(LlamaSession session, int[] question) {
    requireOpen();
    owner.requireVocabulary(question);
    if (session == reader || session.context() != owner) {
      throw new IllegalArgumentException("the session belongs to another context");
    }
    int around = question.length + options.draftTokens() + 1;
    int room =
        Math.min(options.residentTokens() - 2 * prefix.length, owner.sequenceTokens()) - around;
    if (room < LEAST_PAGES * options.pageTokens()) {
      throw new IllegalArgumentException(
          "a question of %,d tokens leaves room for %,d tokens of pages among %,d resident ones; raise residentTokens"
              .formatted(question.length, room, options.residentTokens()));
    }
    session.clear();
    flush();
    return new PageSearch(this, options, question, room);
  }

  /** Makes a session hold the prefix and pages. */
  void bring(LlamaSession session, List<Integer> numbers) {
    rewind();
    session.clear();
    if (prefix.length > 0) {
      session.append(prefix);
    }
    place(session, numbers);
    noteResident(session.size());
  }

  /** Brings pages into a session, behind what it holds. */
  void place(LlamaSession session, List<Integer> numbers) {
    if (numbers.isEmpty()) {
      return;
    }
    inside(
        session,
        () -> {
          try (Arena arena = Arena.ofConfined()) {
            List<int[]> ids = new ArrayList<>();
            List<NativeCells.Rows> rows = new ArrayList<>();
            int next = session.cells().held().next();
            for (int number : numbers) {
              Stored stored = pages.get(number);
              int size = stored.page().size();
              MemorySegment copy =
                  arena.allocate(NativeCells.bytes(session.nativeContext(), size), 32);
              store.read(stored.number(), copy);
              ids.add(text.tokens(stored.page().from(), stored.page().to()));
              rows.add(new NativeCells.Rows(run(stored.position(), size), run(next, size), copy));
              next += size;
            }
            session.cells().adopt(ids, rows);
          }
          return null;
        });
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

  void noteResident(int others) {
    residentCells = Math.max(residentCells, reader.size() + others);
  }

  // ---- what is there ----------------------------------------------------------------------------

  /** Returns the options. */
  public RetrievalOptions options() {
    return options;
  }

  /** Returns the number of tokens appended so far. */
  public int tokens() {
    return text.size();
  }

  /** Returns the number of pages. */
  public int pages() {
    return pages.size();
  }

  /**
   * Returns the most cells that the memory had in the cache at a time, together with what it
   * brought into sessions. Answers that {@link #ask} gave count; those of the caller do not.
   */
  public int residentCells() {
    return residentCells;
  }

  /** Returns the bytes of pages in memory, outside of the Java heap. */
  public long memoryBytes() {
    return store.memoryBytes();
  }

  /** Returns the bytes of pages in the file. */
  public long fileBytes() {
    return store.fileBytes();
  }

  /** Returns the bytes of the pages' attention keys, on the Java heap. */
  public long keyBytes() {
    return bounds.map(PageBounds::bytes).orElse(0L);
  }

  LlamaSession reader() {
    return reader;
  }

  /** Makes the reader hold what stands before everything. */
  void rewind() {
    rewind(prefix.length);
  }

  /** Cells of the session that answers, with question and answer. */
  int sessionTokens() {
    return options.residentTokens() - prefix.length;
  }

  PagedText.Page page(int number) {
    return pages.get(number).page();
  }

  PageWords words() {
    return words;
  }

  Optional<PageBounds> bounds() {
    return bounds;
  }

  /** Position behind the longest segment. */
  int segmentEnd() {
    return prefix.length + options.overlapTokens() + options.segmentTokens();
  }

  private void requireOpen() {
    if (closed) {
      throw new AlreadyClosedException("the retrieval memory is closed");
    }
  }

  /** Frees the pages, deletes their file and gives the sequence back. Idempotent. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      try {
        reader.close();
      } finally {
        store.close();
      }
    }
  }
}
