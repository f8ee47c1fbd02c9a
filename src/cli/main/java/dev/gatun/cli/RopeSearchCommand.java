package dev.gatun.cli;

import dev.gatun.Cancellation;
import dev.gatun.LlamaModel;
import dev.gatun.eval.RopeSearch;
import dev.gatun.eval.RopeSearchOptions;
import dev.gatun.eval.RopeSearchProgress;
import dev.gatun.eval.RopeSearchResult;
import dev.gatun.eval.Scoring;
import dev.gatun.rope.RopePreset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalDouble;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** Searches how to scale positions for one model, one length and texts of one kind. */
final class RopeSearchCommand extends Command {
  private static final int DEFAULT_STRETCH = 4;
  private static final int MOST_TOKENS = 1 << 30;

  private final EvalFlags flags = new EvalFlags();
  private UnaryOperator<RopeSearchOptions> wishes = UnaryOperator.identity();
  private int length;
  private @Nullable Path output;

  @Override
  String name() {
    return "rope-search";
  }

  @Override
  String summary() {
    return "Searches the position scaling under which a model foresees a long text best";
  }

  @Override
  String footer() {
    return """
    The first 60 % of the text are searched on, the rest says what it is worth. Ctrl-C keeps the
    best so far.

      gatun rope-search -m model.gguf -f book.txt --length 16384 -o book.json
      gatun run -m model.gguf --rope table:book.json --file report.txt --ask "Who wrote it?"
    """;
  }

  @Override
  void declare(OptionTable table) {
    flags.declareModel(table);
    flags.declareText(table, "Search:");
    table
        .value(
            "-c,--length",
            "N",
            "Tokens that the scaling is for (4 times the trained length).",
            v -> length = Values.whole("--length", v, 4, MOST_TOKENS))
        .value(
            "--evaluations",
            "N",
            "Scalings that are tried (200).",
            v -> {
              int most = Values.whole("--evaluations", v, 4, MOST_TOKENS);
              wish(options -> options.withEvaluations(most));
            })
        .value(
            "--population",
            "N",
            "Scalings of a generation (16).",
            v -> {
              int size = Values.whole("--population", v, 4, MOST_TOKENS);
              wish(options -> options.withPopulation(size));
            })
        .value(
            "--chunks",
            "N",
            "Most windows of the text that each is tried on (8).",
            v -> {
              int most = Values.whole("--chunks", v, 1, MOST_TOKENS);
              wish(options -> options.withWindows(most));
            })
        .flag(
            "--whole-window",
            "Score the whole window, not its second half.",
            () -> wish(options -> options.withScoring(Scoring.wholeWindow())))
        .value(
            SharedFlag.SEED,
            v -> {
              int seed = Values.whole("--seed", v, 0, Integer.MAX_VALUE);
              wish(options -> options.withSeed(seed));
            })
        .value(
            "-o,--output",
            "FILE",
            "Where the result is kept (MODEL-LENGTH.rope.json).",
            v -> output = Path.of(v));
    declareVerbose(table);
  }

  private void wish(UnaryOperator<RopeSearchOptions> wish) {
    UnaryOperator<RopeSearchOptions> before = wishes;
    wishes = options -> wish.apply(before.apply(options));
  }

  @Override
  int call(Io io) {
    flags.model.path(); // a missing model is said before a large text is read
    String text = flags.text();
    if (output != null) {
      requireWritable(output); // not after an hour
    }
    Cancellation cancellation = Cancellation.create();
    try (Interrupts _ = Interrupts.cancelling(cancellation);
        LlamaModel model = flags.model.load(io, flags.json(), cancellation)) {
      int tokens =
          length > 0
              ? length
              : EvalFlags.trained(model, MOST_TOKENS / DEFAULT_STRETCH) * DEFAULT_STRETCH;
      Path file = output == null ? defaultOutput(model, tokens) : output;
      requireWritable(file);
      RopeSearch search =
          RopeSearch.of(
              model,
              flags.context(),
              flags.textName(),
              text,
              wishes.apply(RopeSearchOptions.of(tokens)));
      RopeSearchResult result = run(search, cancellation, io);
      result.preset().write(file);
      report(io, result, file);
      return result.complete() ? ExitCode.OK : ExitCode.INTERRUPTED;
    }
  }

  private RopeSearchResult run(RopeSearch search, Cancellation cancellation, Io io) {
    try (ProgressBar bar = new ProgressBar(io, name())) {
      return search.run(cancellation, progress -> show(bar, progress));
    }
  }

  private static void requireWritable(Path file) {
    Path folder = file.toAbsolutePath().getParent();
    if (Files.isDirectory(file) || folder == null || !Files.isWritable(folder)) {
      throw CliException.file(
          file + " cannot be written; name a file in a folder that you may write to with -o");
    }
  }

  private static Path defaultOutput(LlamaModel model, int tokens) {
    String name = model.file().path().getFileName().toString().replaceFirst("\\.gguf$", "");
    return Path.of(name + "-" + tokens + ".rope.json");
  }

  private static void show(ProgressBar bar, RopeSearchProgress progress) {
    bar.update(
        progress.fraction(),
        Values.duration(progress.left().toMillis() / 1e3)
            + " left; "
            + progress.evaluations()
            + " of "
            + progress.allEvaluations()
            + (progress.bestPerplexity().isPresent()
                ? "; best " + number(progress.bestPerplexity())
                : ""));
  }

  private void report(Io io, RopeSearchResult result, Path file) {
    RopePreset.Search search = result.preset().search().orElseThrow();
    if (flags.json()) {
      search.scores().forEach(score -> io.line(json(search, score)));
    } else {
      Table table = new Table("method", "perplexity", "on the part searched");
      for (RopePreset.Score score : search.scores()) {
        table.row(score.method(), number(score.heldOut()), number(score.searched()));
      }
      io.print(table.toString());
    }
    io.note(
        (result.complete() ? "" : "interrupted after ")
            + Values.grouped(search.evaluations())
            + " scalings"
            + (result.complete()
                ? " in " + Values.duration(result.time().toMillis() / 1e3)
                : ", so the best was not measured on the rest of the text")
            + "; use it with --rope table:"
            + file);
    result
        .betterMethod()
        .ifPresent(
            method ->
                io.note(
                    "on the rest of the text "
                        + method
                        + " is better: the search fitted the windows it saw; give it more of them"
                        + " (a longer text, --chunks) or fewer --evaluations, or use "
                        + method));
  }

  private static String json(RopePreset.Search search, RopePreset.Score score) {
    return Json.line(
        json -> {
          json.writeStringProperty("method", score.method());
          json.writeNumberProperty("context", search.targetTokens());
          if (score.heldOut().isPresent()) {
            json.writeNumberProperty("perplexity", score.heldOut().getAsDouble());
          }
          if (score.searched().isPresent()) {
            json.writeNumberProperty("searchedPerplexity", score.searched().getAsDouble());
          }
        });
  }

  private static String number(OptionalDouble perplexity) {
    return perplexity.isPresent() ? EvalReport.decimal(perplexity.getAsDouble(), 3) : "";
  }
}
