package dev.gatun.cli;

import dev.gatun.Cancellation;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.RetrievalOptions;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.eval.MemoryAnswer;
import dev.gatun.eval.MemoryResult;
import dev.gatun.eval.MemoryRun;
import dev.gatun.rope.Dynamic;
import dev.gatun.rope.RopeScaling;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/** Hides facts in a text far longer than the cache, and asks for them through retrieval memory. */
final class MemoryEvalCommand extends Command {
  private static final int DEFAULT_TOKENS = 200_000;
  private static final int DEFAULT_NEEDLES = 50;
  private static final double MEGABYTE = 1e6;

  private final EvalFlags flags = new EvalFlags();
  private RetrievalOptions options = RetrievalOptions.defaults();
  private int tokens = DEFAULT_TOKENS;
  private int needles = DEFAULT_NEEDLES;
  private int cells = options.residentTokens();
  private int recall = options.recallTokens();
  private long seed;
  private int asked;
  private int found;

  @Override
  String name() {
    return "memory-eval";
  }

  @Override
  String summary() {
    return "Asks for facts in a text far longer than the cache";
  }

  @Override
  String footer() {
    return """
    The text is read in segments, its cells are kept in memory or in a file, and the few pages that
    matter for a question are brought back.

      gatun memory-eval --tokens 200000 --needles 50 --cells 2048
      gatun memory-eval --tokens 1000000 --needles 100 --cells 4096 --disk pages.bin --json
    """;
  }

  @Override
  void declare(OptionTable table) {
    flags.declareModel(table);
    flags.declareText(table, "Memory:");
    flags.declareScaling(table, "rerope", ": pages come back without a turn of their keys");
    table
        .value(
            "--tokens",
            "N",
            "Length of the text, made of the sentences in any order, again and again (200,000).",
            v -> tokens = Values.whole("--tokens", v, 1, 1 << 30))
        .value(
            "--needles",
            "N",
            "Facts hidden in it and asked for (50).",
            v -> needles = Values.whole("--needles", v, 1, MemoryRun.mostNeedles()))
        .value(
            "--cells",
            "N",
            "Most cells in the cache at a time (2,048).",
            v -> cells = Values.whole("--cells", v, 256, 1 << 24))
        .value(
            "--recall",
            "N",
            "Most tokens of pages brought back for a question (512).",
            v -> recall = Values.whole("--recall", v, 64, 1 << 24))
        .value(
            "--keys",
            "attention|words|both",
            "What pages are found by, before the model looks at the best (both).",
            v ->
                options =
                    options.withKeys(
                        RetrievalOptions.Keys.valueOf(
                            Values.word("--keys", v, List.of("attention", "words", "both"))
                                .toUpperCase(Locale.ROOT))))
        .value(
            "--candidates",
            "N",
            "Tokens of pages that the model looks at for a question; 0: keys alone decide (8,192).",
            v -> options = options.withCandidateTokens(Values.whole("--candidates", v, 0, 1 << 30)))
        .value(
            "--draft",
            "N",
            "Most tokens of the drafted answer that is searched with; 0: none (24).",
            v -> options = options.withDraftTokens(Values.whole("--draft", v, 0, 1 << 16)))
        .value(
            "--attempts",
            "N",
            "Answers from all recalled pages, half of them and so on; the most probable counts"
                + " (4).",
            v -> options = options.withAttempts(Values.whole("--attempts", v, 1, 16)))
        .value(
            "--disk",
            "FILE",
            "Keep the pages in this new file, which is deleted at the end.",
            this::disk)
        .value(SharedFlag.SEED, v -> seed = Values.whole("--seed", v, 0, Integer.MAX_VALUE));
    declareVerbose(table);
  }

  private void disk(String file) {
    if (file.isEmpty()) {
      throw CliException.usage("--disk needs the name of a new file; it is empty");
    }
    options = options.withFile(Path.of(file));
  }

  /** Says before a long reading what the file of pages would be refused for. */
  private static void requireNew(Path file) {
    Path folder = file.toAbsolutePath().getParent();
    if (folder == null || !Files.isDirectory(folder)) {
      throw CliException.file(
          "--disk " + file + ": there is no folder " + folder + "; make it first");
    }
    if (Files.exists(file)) {
      throw CliException.file(
          "--disk "
              + file
              + " exists; name a new file, or delete it if a process that was killed left it");
    }
  }

  @Override
  int call(Io io) {
    flags.model.path(); // a missing model is said before a large text is read
    options.file().ifPresent(MemoryEvalCommand::requireNew);
    if (recall >= cells) {
      throw CliException.usage(
          "--recall %,d must be less than --cells %,d".formatted(recall, cells));
    }
    SparseFlag.warn(io, flags.context().sparseAttention());
    String text = flags.text();
    Cancellation cancellation = Cancellation.create();
    try (Interrupts _ = Interrupts.cancelling(cancellation);
        LlamaModel model = flags.model.load(io, flags.json(), cancellation);
        LlamaContext context = context(model);
        ProgressBar bar = new ProgressBar(io, "reading")) {
      MemoryResult result =
          MemoryRun.of(context, text, tokens, needles, seed)
              .run(
                  options.withResidentTokens(cells).withRecallTokens(recall),
                  cancellation,
                  listener(io, bar));
      show(io, result);
    } catch (OperationCancelledException e) {
      interrupted(io);
      throw e;
    }
    return ExitCode.OK;
  }

  private LlamaContext context(LlamaModel model) {
    RopeScaling scaling = flags.scaling().at(model, cells);
    if (scaling instanceof Dynamic) {
      throw CliException.usage(
          "--rope "
              + flags.scaling().label()
              + " follows the length of a text, and pages come back to texts of another one; choose"
              + " a fixed scaling, such as rerope or yarn:8");
    }
    return model.newContext(
        flags
            .context()
            .withContextTokens(cells)
            .withMaxSequences(2)
            .withUnifiedKv(true)
            .withRopeScaling(scaling));
  }

  /** Says what was found by the time of an interruption. */
  private void interrupted(Io io) {
    if (asked > 0) {
      io.note("%d of %d facts found so far".formatted(found, asked));
    }
  }

  private MemoryRun.Listener listener(Io io, ProgressBar bar) {
    return new MemoryRun.Listener() {
      @Override
      public void onRead(int done, int total) {
        bar.update((double) done / total);
      }

      @Override
      public void onAnswer(MemoryAnswer answer) {
        asked++;
        found += answer.right() ? 1 : 0;
        if (flags.json()) {
          showJson(io, answer);
        } else if (!answer.right()) {
          bar.close();
          io.line(
              "%s %s is right, the answer was %s (its page was %s)"
                  .formatted(
                      answer.question(),
                      answer.expected(),
                      answer.answer().strip(),
                      answer.recalled() ? "there" : "not found"));
        }
      }
    };
  }

  private static void showJson(Io io, MemoryAnswer a) {
    io.line(
        Json.line(
            json -> {
              json.writeStringProperty("question", a.question());
              json.writeStringProperty("expected", a.expected());
              json.writeStringProperty("answer", a.answer());
              json.writeBooleanProperty("right", a.right());
              json.writeBooleanProperty("recalled", a.recalled());
              json.writeNumberProperty("at", a.at());
              json.writeNumberProperty("candidates", a.found().report().candidates());
              json.writeNumberProperty("rounds", a.found().report().rounds());
              json.writeNumberProperty("recalledPages", a.found().report().recalledPages());
              json.writeNumberProperty("recalledTokens", a.found().report().recalledTokens());
              json.writeNumberProperty("attempts", a.found().attempts());
              json.writeNumberProperty("logProbability", a.found().logProbability());
              json.writeNumberProperty("searchMs", a.found().report().searching().toNanos() / 1e6);
              json.writeNumberProperty("lookMs", a.found().report().looking().toNanos() / 1e6);
              json.writeNumberProperty("placeMs", a.found().report().placing().toNanos() / 1e6);
              json.writeNumberProperty("answerMs", a.found().answering().toNanos() / 1e6);
              json.writeNumberProperty("ms", a.found().total().toNanos() / 1e6);
            }));
  }

  private void show(Io io, MemoryResult r) {
    if (flags.json()) {
      io.line(
          Json.line(
              json -> {
                json.writeNumberProperty("tokens", r.tokens());
                json.writeNumberProperty("needles", r.answers().size());
                json.writeNumberProperty("found", r.found());
                json.writeNumberProperty("recalled", r.recalled());
                json.writeNumberProperty("pages", r.pages());
                json.writeNumberProperty("residentCells", r.residentCells());
                json.writeNumberProperty("meanMs", r.meanMillis());
                json.writeNumberProperty("maxMs", r.maxMillis());
                json.writeNumberProperty("readMs", r.reading().toNanos() / 1e6);
                json.writeNumberProperty("memoryBytes", r.memoryBytes());
                json.writeNumberProperty("fileBytes", r.fileBytes());
                json.writeNumberProperty("keyBytes", r.keyBytes());
                if (r.residentGrowth().isPresent()) {
                  json.writeNumberProperty("residentGrowthBytes", r.residentGrowth().getAsLong());
                }
              }));
      return;
    }
    Table table = new Table("tokens read", Values.grouped(r.tokens()));
    table.row("reading", EvalReport.decimal(r.reading().toMillis() / 1e3, 1) + " s");
    table.row("pages", Values.grouped(r.pages()));
    table.row("facts found", r.found() + " of " + r.answers().size());
    table.row("their pages brought back", Integer.toString(r.recalled()));
    table.row(
        "a question takes",
        "%s ms, at most %s ms"
            .formatted(
                EvalReport.decimal(r.meanMillis(), 0), EvalReport.decimal(r.maxMillis(), 0)));
    table.row("most cells in use", Values.grouped(r.residentCells()));
    table.row("pages in memory", megabytes(r.memoryBytes()));
    table.row("pages in the file", megabytes(r.fileBytes()));
    table.row("page keys among that", megabytes(r.keyBytes()));
    if (r.residentGrowth().isPresent()) {
      table.row("growth of the process", megabytes(r.residentGrowth().getAsLong()));
    }
    io.print(table.toString());
  }

  private static String megabytes(long bytes) {
    return EvalReport.decimal(bytes / MEGABYTE, 1) + " MB";
  }
}
