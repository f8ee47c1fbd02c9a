package dev.gatun.cli;

import dev.gatun.Cancellation;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.LlamaSession;
import dev.gatun.error.KvCacheFullException;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.eval.StreamRun;
import dev.gatun.kv.OverflowPolicy;
import dev.gatun.kv.SparseAttention;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalInt;

/** Reads a text of any length through a few cells and tells what it costs and is worth. */
final class StreamCommand extends Command {
  private static final int CHUNK_TOKENS = 4096;
  static final int PART_CHARS = 1 << 16;
  private static final int DEFAULT_BIN = 100_000;
  private static final long MEBIBYTE = 1 << 20;

  private final EvalFlags flags = new EvalFlags();
  private final OverflowFlags overflow = new OverflowFlags(OverflowPolicy.streaming());
  private long most;
  private int bin = DEFAULT_BIN;
  private OptionalInt every = OptionalInt.empty();
  private boolean headed;

  @Override
  String name() {
    return "stream";
  }

  @Override
  String summary() {
    return "Reads a text of any length through a fixed number of cells";
  }

  @Override
  String footer() {
    return """
    Bin by bin: how well the text is foreseen, the memory of the process, what a token costs.
    Ctrl-C also tells of the bin that was begun.

      gatun stream --file book.txt --kv-budget 256
      gatun stream --tokens 1000000 --recompute-every 64 --json
    """;
  }

  @Override
  void declare(OptionTable table) {
    flags.declareModel(table);
    overflow.declare(table);
    flags.declareText(table, "Stream:");
    flags.declareScaling(table, "model", "");
    table
        .value(
            "--tokens",
            "N",
            "Tokens to read; a shorter text is read again and again (the text, once).",
            v -> most = Values.whole("--tokens", v, 2, Integer.MAX_VALUE))
        .value(
            "--bin",
            "N",
            "Tokens of a bin (" + Values.grouped(DEFAULT_BIN) + ").",
            v -> bin = Values.whole("--bin", v, 1, 1 << 30))
        .value(
            "--recompute-every",
            "N",
            "Also read the window of every N-th token again from nothing, and compare.",
            v -> every = OptionalInt.of(Values.whole("--recompute-every", v, 1, 1 << 30)));
    declareVerbose(table);
  }

  @Override
  int call(Io io) {
    flags.model.path(); // a missing model is said before a large text is read
    SparseAttention sparse = flags.context().sparseAttention();
    SparseFlag.requireFits(sparse, overflow.options().overflow());
    SparseFlag.warn(io, sparse);
    SparseFlag.warnUnused(io, flags.context());
    String text = flags.text();
    Cancellation cancellation = Cancellation.create();
    try (Interrupts _ = Interrupts.cancelling(cancellation);
        LlamaModel model = flags.model.load(io, flags.json(), cancellation)) {
      int cells =
          overflow.options().budgetTokens().orElse(EvalFlags.trained(model, Integer.MAX_VALUE));
      warnUntrained(io, model, cells);
      try (LlamaContext context = context(model, cells);
          LlamaSession session = OverflowFlags.newSession(context, overflow.options())) {
        if (every.isEmpty()) {
          run(io, StreamRun.of(session, bin, b -> show(io, b)), model, text, cancellation);
          return ExitCode.OK;
        }
        try (LlamaContext other = context(model, session.remaining());
            LlamaSession again = other.newSession()) {
          StreamRun run = StreamRun.of(session, bin, b -> show(io, b));
          run(io, run.comparedWith(again, every.getAsInt()), model, text, cancellation);
          return ExitCode.OK;
        }
      }
    }
  }

  private LlamaContext context(LlamaModel model, int cells) {
    return model.newContext(
        flags
            .context()
            .withContextTokens(cells)
            .withMaxSequences(1)
            .withRopeScaling(flags.scaling().at(model, cells)));
  }

  /** Says when positions will grow past what the model knows and nothing scales them. */
  private void warnUntrained(Io io, LlamaModel model, int cells) {
    int trained = ContextPlan.limit(model);
    if (trained == 0 || !flags.scaling().label().equals("model")) {
      return;
    }
    String length =
        "the model was trained for " + Values.grouped(trained) + " tokens and reads worse";
    if (overflow.options().overflow() instanceof OverflowPolicy.Evict) {
      io.note(
          length
              + " at positions past that, which grow with the text when cells are evicted: --rope"
              + " rerope helps");
    } else if (cells > trained) {
      io.note(length + " in more cells than that: --rope auto helps");
    }
  }

  private void run(Io io, StreamRun run, LlamaModel model, String text, Cancellation cancellation) {
    try {
      read(run, model, text, cancellation);
    } catch (OperationCancelledException e) {
      run.finish(); // the part of a bin that was read is worth telling
      throw e;
    } catch (KvCacheFullException e) {
      run.finish();
      throw CliException.space(
          e.getMessage() + "; on the command line: --overflow streaming or a larger --kv-budget");
    }
    run.finish();
  }

  private void read(StreamRun run, LlamaModel model, String text, Cancellation cancellation) {
    boolean first = true;
    long left = most == 0 ? Long.MAX_VALUE : most;
    do {
      // The text is taken in parts, so that a long one is not held as tokens.
      for (int at = 0; at < text.length() && left > 0; ) {
        int end = partEnd(text, at);
        int[] ids = model.tokenizer().encode(text.substring(at, end), first, false);
        first = false;
        at = end;
        for (int from = 0; from < ids.length && left > 0; from += CHUNK_TOKENS) {
          int to = (int) Math.min(from + left, Math.min(ids.length, from + CHUNK_TOKENS));
          run.read(Arrays.copyOfRange(ids, from, to), cancellation);
          left -= to - from;
        }
      }
    } while (most > 0 && left > 0);
  }

  /** Ends a part where a line ends, if one does; never inside a character. */
  static int partEnd(String text, int at) {
    if (text.length() - at <= PART_CHARS) {
      return text.length();
    }
    int end = at + PART_CHARS;
    int line = text.lastIndexOf('\n', end - 1);
    if (line > at) {
      return line + 1;
    }
    return Character.isHighSurrogate(text.charAt(end - 1)) ? end - 1 : end;
  }

  private void show(Io io, StreamRun.Bin b) {
    Optional<StreamRun.Recomputed> again = b.recomputed();
    if (flags.json()) {
      io.line(
          Json.line(
              json -> {
                json.writeStringProperty("policy", overflow.options().overflow().describe());
                json.writeNumberProperty("tokens", b.tokens());
                json.writeNumberProperty("perplexity", b.perplexity());
                if (b.residentBytes().isPresent()) {
                  json.writeNumberProperty("residentBytes", b.residentBytes().getAsLong());
                }
                json.writeNumberProperty("msPerToken", b.msPerToken());
                json.writeNumberProperty("cells", b.heldTokens());
                json.writeNumberProperty("droppedTokens", b.droppedTokens());
                if (again.isPresent()) {
                  json.writeNumberProperty("samples", again.get().samples());
                  json.writeNumberProperty("sampledPerplexity", again.get().streamedPerplexity());
                  json.writeNumberProperty("recomputedPerplexity", again.get().perplexity());
                  json.writeNumberProperty("recomputeMsPerToken", again.get().msPerToken());
                }
              }));
      return;
    }
    if (!headed) {
      headed = true;
      io.line(
          "tokens        perplexity    resident   ms/token     cells       dropped"
              + (every.isPresent() ? "   sampled  recomputed   ms/token" : ""));
    }
    io.line(
        "%-12s  %10s  %6s MiB  %9s  %8s  %12s%s"
            .formatted(
                Values.grouped(b.tokens()),
                EvalReport.decimal(b.perplexity(), 3),
                b.residentBytes().isPresent()
                    ? EvalReport.decimal((double) b.residentBytes().getAsLong() / MEBIBYTE, 1)
                    : "?",
                EvalReport.decimal(b.msPerToken(), 4),
                Values.grouped(b.heldTokens()),
                Values.grouped(b.droppedTokens()),
                again
                    .map(
                        r ->
                            "  %8s  %10s  %9s"
                                .formatted(
                                    EvalReport.decimal(r.streamedPerplexity(), 3),
                                    EvalReport.decimal(r.perplexity(), 3),
                                    EvalReport.decimal(r.msPerToken(), 3)))
                    .orElse("")));
  }
}
