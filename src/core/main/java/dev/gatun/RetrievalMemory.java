package dev.gatun;

import dev.gatun.error.AlreadyClosedException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.kv.PageBounds;
import java.util.List;
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
 * <p>One thread at a time drives a memory with its context and sessions. A second one that comes
 * while native code runs gets a {@link WrongThreadException}; {@link #close()} is for any thread.
 *
 * <p>A call that fails or is cancelled leaves the memory usable and with all that was appended. The
 * session that it was to fill then holds less than was asked for, or nothing.
 *
 * <p>Lifetime: it takes one of the context's sequences until it is closed. Pages and their keys lie
 * outside of the Java heap or in the file, and are gone when it is closed; the token ids, 4 bytes
 * each, are on the heap.
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
  private final PageReader reader;
  private volatile boolean closed;

  private RetrievalMemory(LlamaContext owner, int[] prefix, RetrievalOptions options) {
    this.owner = owner;
    this.options = options;
    owner.requireVocabulary(prefix);
    requireFit(prefix);
    this.reader = new PageReader(owner, prefix, options);
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

  private void requireFit(int[] prefix) {
    long segment = 0L + prefix.length + options.overlapTokens() + options.segmentTokens();
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

  // ---- reading ----------------------------------------------------------------------------------

  /**
   * Appends a text; special tokens in it stay text.
   *
   * @param part any length; give a very long text in parts that end where words end
   */
  public void append(String part) {
    append(owner.model().tokenizer().encode(part, false, false));
  }

  /** Appends tokens. What does not fill a segment is read with a later call. */
  public void append(int... ids) {
    append(ids, Cancellation.never());
  }

  /**
   * Appends tokens. What does not fill a segment is read with a later call. When reading fails or
   * is cancelled, all tokens are appended all the same, and the next call reads on: do not append
   * them again.
   *
   * @param cancellation ends it between segments or inside one
   * @throws dev.gatun.error.OperationCancelledException if it was cancelled
   * @throws dev.gatun.error.KvCacheFullException if other sessions have taken the cells
   * @throws IndexOutOfBoundsException if an id is not in the vocabulary; nothing is appended
   */
  public void append(int[] ids, Cancellation cancellation) {
    whileOpen(
        () -> {
          owner.requireVocabulary(ids);
          reader.append(ids, cancellation);
          return true;
        });
  }

  /** Reads what waits for more text. Questions do so themselves. */
  public void flush() {
    whileOpen(
        () -> {
          reader.flush(Cancellation.never());
          return true;
        });
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
   * @throws IllegalArgumentException if the question is empty or leaves no room for pages
   * @throws IllegalStateException if adapters, control vector or position scaling of the context
   *     are no longer those that the memory was made under
   */
  public RetrievalReport recall(LlamaSession session, int... question) {
    return recall(session, question, Cancellation.never());
  }

  /**
   * As {@link #recall(LlamaSession, int...)}.
   *
   * @param cancellation ends it, also inside a decode
   * @throws dev.gatun.error.OperationCancelledException if it was cancelled
   */
  public RetrievalReport recall(LlamaSession session, int[] question, Cancellation cancellation) {
    return whileOpen(
        () -> {
          PageSearch search = newSearch(session, question, cancellation);
          List<Integer> found = search.chosen(search.find(), options.recallTokens());
          long began = System.nanoTime();
          reader.bring(session, found);
          return search.report(found, System.nanoTime() - began);
        });
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
   *     RetrievalOptions#residentTokens()} leaves. Its cancellation ends the search too; its
   *     deadline holds for each answer apart
   * @throws IllegalArgumentException if the question is empty or leaves no room for pages
   * @throws IllegalStateException as {@link #recall(LlamaSession, int...)}
   * @throws dev.gatun.error.OperationCancelledException if it was cancelled
   */
  public RetrievalAnswer ask(LlamaSession session, int[] question, GenerationOptions generation) {
    return whileOpen(
        () -> {
          PageSearch search = newSearch(session, question, generation.cancellation());
          return new PageAnswers(reader, options, session, question, generation).best(search);
        });
  }

  private PageSearch newSearch(LlamaSession session, int[] question, Cancellation cancellation) {
    owner.requireVocabulary(question);
    if (session == reader.session() || session.context() != owner) {
      throw new IllegalArgumentException("the session belongs to another context");
    }
    if (question.length == 0) {
      throw new IllegalArgumentException("the question must have a token");
    }
    long around = reader.prefixTokens() + question.length + options.draftTokens() + 1L;
    long room = reader.most(session) - around;
    if (room < LEAST_PAGES * options.pageTokens()) {
      throw new IllegalArgumentException(
          "a question of %,d tokens leaves room for %,d tokens of pages among %,d resident ones; raise residentTokens, or what context and session can hold"
              .formatted(question.length, Math.max(0, room), options.residentTokens()));
    }
    session.clear();
    reader.flush(cancellation);
    return new PageSearch(reader, options, question, (int) room, cancellation);
  }

  // ---- what is there ----------------------------------------------------------------------------

  /** Returns the options. */
  public RetrievalOptions options() {
    return options;
  }

  /** Returns the number of tokens appended so far. */
  public int tokens() {
    return reader.textTokens();
  }

  /** Returns the number of pages. */
  public int pages() {
    return reader.pages();
  }

  /**
   * Returns the most cells that the memory had in the cache at a time, together with what it
   * brought into sessions. Answers that {@link #ask} gave count; those of the caller do not.
   */
  public int residentCells() {
    return reader.residentCells();
  }

  /** Returns the bytes of pages and their keys in memory, outside of the Java heap. */
  public long memoryBytes() {
    return reader.store().memoryBytes();
  }

  /** Returns the bytes of pages and their keys in the file. */
  public long fileBytes() {
    return reader.store().fileBytes();
  }

  /**
   * Returns the bytes of the pages' attention keys. They are with the pages, but for those of the
   * last pages, which are on the Java heap.
   */
  public long keyBytes() {
    return reader.bounds().map(PageBounds::bytes).orElse(0L);
  }

  /** Runs a call; refuses a closed memory, and a context that reads otherwise than before. */
  private <T> T whileOpen(Supplier<T> call) {
    if (closed || owner.isClosed()) {
      throw new AlreadyClosedException("the retrieval memory or its context is closed");
    }
    reader.requireSameSettings();
    try {
      return call.get();
    } catch (RuntimeException e) {
      if (closed) {
        throw new AlreadyClosedException("the retrieval memory was closed during the call", e);
      }
      throw e;
    }
  }

  /**
   * Ends a running call, frees the pages, deletes their file and gives the sequence back.
   * Idempotent; from any thread.
   *
   * @throws IllegalStateException if it is called from inside a callback of the context; nothing is
   *     closed
   */
  @Override
  public void close() {
    if (!closed) {
      reader.requireOutside();
      closed = true;
      reader.close();
    }
  }
}
