package dev.gatun.cli;

import dev.gatun.CachedChunk;
import dev.gatun.Cancellation;
import dev.gatun.ChunkDivergence;
import dev.gatun.ChunkOptions;
import dev.gatun.ChunkReport;
import dev.gatun.ChunkStore;
import dev.gatun.ContextOptions;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.LlamaSession;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.rope.Dynamic;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The flags of documents that are read once, each alone, and put together before the question; and
 * what comes of them.
 */
final class ChunkFlags {
  /**
   * What was done.
   *
   * @param documents documents in the text
   * @param read documents that were read: one that comes twice is read once
   * @param reading time of reading them
   * @param assembly what putting them together took
   */
  record Summary(int documents, int read, Duration reading, ChunkReport assembly) {}

  private final List<String> files = new ArrayList<>();
  private ChunkOptions options = ChunkOptions.defaults();
  private boolean recomputeGiven;
  private boolean check;

  /** The documents, once {@link #open} has read the files. */
  private final List<String> texts = new ArrayList<>();

  void declare(OptionTable table) {
    table
        .value(
            "--chunk",
            "FILE",
            "A document that is read once, alone, and put before the question together with the"
                + " others; several times, in this order.",
            files::add)
        .value(
            "--chunk-recompute",
            "N",
            "Tokens at the beginning of each chunk that are read again where they come to stand ("
                + options.recompute()
                + ").",
            v -> {
              options = options.withRecompute(Values.whole("--chunk-recompute", v, 0, 1 << 30));
              recomputeGiven = true;
            })
        .flag(
            "--chunk-check",
            "Also read everything in full, and tell how far question and answer are from that.",
            () -> check = true);
  }

  boolean isGiven() {
    return !files.isEmpty();
  }

  /**
   * Reads the files.
   *
   * @throws CliException if one cannot be read or is empty, or if flags do not fit together
   */
  void open(PromptCache cache) {
    if (!isGiven()) {
      if (recomputeGiven || check) {
        throw CliException.usage(
            (check ? "--chunk-check" : "--chunk-recompute")
                + " is about documents of --chunk FILE");
      }
      return;
    }
    if (cache.isGiven()) {
      throw CliException.usage(
          "--prompt-cache keeps a text that was read in full, and --chunk does not read it so; give"
              + " one of them");
    }
    for (String file : files) {
      String text = TextInput.file(file);
      if (text.isBlank()) {
        throw CliException.usage(file + " is empty; give a file with text");
      }
      texts.add(text.stripTrailing() + "\n");
    }
  }

  /** Puts the documents before a text. */
  ChunkPrompt prompt(LlamaModel model, ChunkPrompt.Frame frame, String text) {
    return ChunkPrompt.of(model.tokenizer(), frame, texts, text);
  }

  /**
   * Says what cannot be done before anything is read.
   *
   * @throws CliException if the documents do not stay where they are put
   */
  static void requireFits(ContextPlan plan, OverflowFlags overflow, int tokens) {
    if (plan.options().ropeScaling() instanceof Dynamic) {
      throw CliException.usage(
          "--chunk needs a fixed position scaling, and this one follows the length of the text;"
              + " choose another --rope, such as yarn:8");
    }
    int budget = overflow.options().budgetTokens().orElse(Integer.MAX_VALUE);
    if (tokens >= budget) {
      throw CliException.space(
          "the chunks and the question have "
              + Values.grouped(tokens)
              + " tokens and stay in the cache together, but --kv-budget allows "
              + Values.grouped(budget)
              + "; raise it or leave it out");
    }
  }

  /**
   * Reads the documents, each once, and puts them into an empty session.
   *
   * @throws CliException if the model does not allow it
   */
  Summary assemble(
      LlamaSession session, ChunkPrompt prompt, Cancellation cancellation, RunOutput output) {
    ChunkStore store = ChunkStore.behind(prompt.prefix());
    int all = prompt.chunks().stream().mapToInt(chunk -> chunk.length).sum();
    Map<String, CachedChunk> known = new HashMap<>();
    List<CachedChunk> chunks = new ArrayList<>();
    int before = 0;
    long start = System.nanoTime();
    try {
      for (int i = 0; i < prompt.chunks().size(); i++) {
        int[] tokens = prompt.chunks().get(i);
        int behind = before;
        CachedChunk chunk = known.get(texts.get(i));
        if (chunk == null) {
          chunk =
              store.read(
                  session, tokens, cancellation, (done, _) -> output.progress(behind + done, all));
          known.put(texts.get(i), chunk);
        }
        chunks.add(chunk);
        before += tokens.length;
      }
      Duration reading = Duration.ofNanos(System.nanoTime() - start);
      ChunkReport report = store.assemble(session, chunks, options, cancellation);
      return new Summary(chunks.size(), known.size(), reading, report);
    } catch (UnsupportedOperationForModelException e) {
      String way = session.context().model().slidingWindowTokens() > 0 ? "--swa-full, or " : "";
      throw CliException.usage(
          "--chunk: "
              + e.getMessage()
              + "; on the command line: "
              + way
              + "--file, which reads it all");
    }
  }

  /** Makes the context that a full reading needs. */
  LlamaContext reference(LlamaModel model, ContextOptions options, AdapterFlags adapters) {
    LlamaContext context = model.newContext(options);
    adapters.apply(model, context);
    return context;
  }

  boolean isChecked() {
    return check;
  }

  /**
   * Compares what followed the chunks with the same after a full reading.
   *
   * @param session holds the chunks, question and answer; afterwards the chunks
   * @param chunkTokens tokens up to the end of the chunks
   */
  static ChunkDivergence compare(
      LlamaSession session, int chunkTokens, LlamaContext reference, Cancellation cancellation) {
    int[] rest = Arrays.copyOfRange(session.tokens(), chunkTokens, session.size());
    session.truncate(chunkTokens);
    try (LlamaSession full = reference.newSession()) {
      return ChunkStore.compareWithFullPrefill(session, full, rest, cancellation);
    }
  }
}
