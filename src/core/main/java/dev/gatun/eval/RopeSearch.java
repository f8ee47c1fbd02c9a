package dev.gatun.eval;

import dev.gatun.Cancellation;
import dev.gatun.ContextOptions;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.LlamaSession;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.rope.FactorTable;
import dev.gatun.rope.RopeBasis;
import dev.gatun.rope.RopeFacts;
import dev.gatun.rope.RopePreset;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.StaticScaling;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;

/**
 * Searches a table of frequency factors for a model and a length: the one under which the model
 * foresees a text best. Linear interpolation, NTK-aware scaling and YaRN begin, mutation and
 * crossover go on. The text's first part is searched on; what is reported was measured on the rest.
 *
 * <p>Every table is tried in one context, whose table is changed in place. With the same seed,
 * text, model and threads the result is the same.
 *
 * <p>Source: Ding et al., "LongRoPE: Extending LLM Context Window Beyond 2 Million Tokens", 2024,
 * section 3.2.
 *
 * <p>Immutable; {@link #run} drives a context of its own. The model stays the caller's, with all
 * layers on the CPU.
 */
public final class RopeSearch {
  /** Name of the searched table among the {@link RopePreset.Search#scores()}. */
  public static final String METHOD = "search";

  private final EvalConfiguration configuration;
  private final String textName;
  private final RopeSearchOptions options;
  private final RopePreset.Model shape;
  private final double stretch;
  private final Map<String, FactorTable> methods = new LinkedHashMap<>();
  private final Perplexity searched;
  private final Perplexity heldOut;

  private RopeSearch(
      LlamaModel model,
      ContextOptions context,
      String textName,
      int[] tokens,
      RopeSearchOptions options) {
    this.textName = textName;
    this.options = options;
    this.shape = RopePreset.Model.of(model.file());
    RopeBasis basis = unscaled(RopeFacts.of(model.file()));
    if (options.lengthTokens() <= basis.trainedTokens()) {
      throw new IllegalArgumentException(
          "the model was trained for %,d tokens and needs no table for %,d; give a larger length"
              .formatted(basis.trainedTokens(), options.lengthTokens()));
    }
    this.stretch = (double) options.lengthTokens() / basis.trainedTokens();
    methods.put("linear", table(RopeScaling.linear(stretch), basis));
    methods.put("ntk", table(RopeScaling.ntkAware(stretch), basis));
    FactorTable yarn = table(RopeScaling.yarn(stretch), basis);
    methods.put("yarn", yarn);
    this.configuration =
        new EvalConfiguration(model, context, ContextScaling.of(METHOD, (_, _) -> yarn));
    int border = (int) (tokens.length * options.searchShare());
    this.searched = perplexity("first", Arrays.copyOfRange(tokens, 0, border), options.windows());
    this.heldOut =
        perplexity(
            "last", Arrays.copyOfRange(tokens, border, tokens.length), options.heldOutWindows());
  }

  /**
   * Prepares a search.
   *
   * @param model the model
   * @param context KV types, threads and so on; length, scaling, batch and number of sequences are
   *     set
   * @param textName name of the text, for the preset
   * @param text the text; each of its two parts fills at least one window
   * @param options how
   * @throws IllegalArgumentException if the text is too short, or the length not longer than
   *     trained
   * @throws UnsupportedOperationForModelException if the model's positions cannot be scaled
   */
  public static RopeSearch of(
      LlamaModel model,
      ContextOptions context,
      String textName,
      String text,
      RopeSearchOptions options) {
    return new RopeSearch(model, context, textName, Perplexity.tokens(model, text), options);
  }

  /** The rotation before the file's own scaling, which a table replaces. */
  private static RopeBasis unscaled(RopeFacts facts) {
    RopeBasis basis = facts.basis();
    if (!facts.isScaled()) {
      return basis;
    }
    if (facts.originalTokens() == 0) {
      throw new UnsupportedOperationForModelException(
          "the file scales positions by itself and does not state the length before that, from which a search begins; search on the model that was not extended");
    }
    return new RopeBasis(
        basis.dimensions(),
        basis.base(),
        facts.originalTokens(),
        basis.betaFast(),
        basis.betaSlow());
  }

  private static FactorTable table(StaticScaling scaling, RopeBasis basis) {
    return FactorTable.of(scaling.rotation(basis));
  }

  /** Windows of a part of the text, as far apart as they can be. */
  private Perplexity perplexity(String part, int[] tokens, int most) {
    int length = options.lengthTokens();
    int fitting = tokens.length / length;
    if (fitting == 0) {
      throw new IllegalArgumentException(
          "the %s part of the text has %,d tokens and does not fill one window of %,d; give a longer text or a shorter length"
              .formatted(part, tokens.length, length));
    }
    int count = Math.min(fitting, most);
    int[] windows = new int[count * length];
    for (int i = 0; i < count; i++) {
      int from = (int) ((long) i * fitting / count) * length;
      System.arraycopy(tokens, from, windows, i * length, length);
    }
    return Perplexity.of(
        configuration, windows, PerplexityOptions.of(length).withScoring(options.scoring()));
  }

  /**
   * Searches and reports.
   *
   * @param cancellation ends it, also inside a batch; the best table so far is returned
   * @param listener is told how far it is
   * @throws OperationCancelledException if it was cancelled before one table was measured
   * @throws UnsupportedOperationForModelException if the model cannot run a table, as with layers
   *     on a GPU
   * @throws dev.gatun.error.ContextCreateException if the context cannot be made
   */
  public RopeSearchResult run(Cancellation cancellation, RopeSearchListener listener) {
    try (LlamaContext driven = configuration.newContext(options.lengthTokens());
        LlamaSession session = driven.newSession()) {
      return new Run(driven, session, cancellation, listener).run();
    }
  }

  private static OptionalDouble finite(@Nullable Double value) {
    return value == null || !Double.isFinite(value)
        ? OptionalDouble.empty()
        : OptionalDouble.of(value);
  }

  /** One search. */
  private final class Run {
    private final LlamaContext driven;
    private final LlamaSession session;
    private final Cancellation cancellation;
    private final RopeSearchListener listener;
    private final TableEvolution evolution =
        new TableEvolution(List.copyOf(methods.values()), stretch, options);
    private final Map<FactorTable, Double> known = new LinkedHashMap<>();
    private final long start = System.nanoTime();
    private final long allTokens =
        options.evaluations() * searched.tokens() + (methods.size() + 1) * heldOut.tokens();
    private long readTokens;
    private int evaluations;

    Run(
        LlamaContext driven,
        LlamaSession session,
        Cancellation cancellation,
        RopeSearchListener listener) {
      this.driven = driven;
      this.session = session;
      this.cancellation = cancellation;
      this.listener = listener;
    }

    RopeSearchResult run() {
      Map<String, Double> heldOutScores = new LinkedHashMap<>();
      boolean complete = false;
      try {
        while (evaluations < options.evaluations()) {
          FactorTable table = evolution.next();
          double perplexity = measure(searched, table);
          evaluations++;
          known.put(table, perplexity);
          evolution.tell(table, perplexity);
        }
        for (Map.Entry<String, FactorTable> method : reported().entrySet()) {
          heldOutScores.put(method.getKey(), measure(heldOut, method.getValue()));
        }
        complete = true;
      } catch (OperationCancelledException e) {
        if (evaluations == 0) {
          throw e;
        }
      }
      return new RopeSearchResult(
          new RopePreset(
              evolution.best().table(),
              Optional.of(shape),
              Optional.of(
                  new RopePreset.Search(
                      options.lengthTokens(),
                      textName,
                      options.seed(),
                      evaluations,
                      scores(heldOutScores),
                      Instant.now().truncatedTo(ChronoUnit.SECONDS)))),
          complete,
          elapsed());
    }

    /** The published methods, then the best table. */
    private Map<String, FactorTable> reported() {
      Map<String, FactorTable> tables = new LinkedHashMap<>(methods);
      tables.put(METHOD, evolution.best().table());
      return tables;
    }

    private List<RopePreset.Score> scores(Map<String, Double> heldOutScores) {
      List<RopePreset.Score> scores = new ArrayList<>();
      reported()
          .forEach(
              (method, table) ->
                  scores.add(
                      new RopePreset.Score(
                          method, finite(known.get(table)), finite(heldOutScores.get(method)))));
      return scores;
    }

    private double measure(Perplexity perplexity, FactorTable table) {
      driven.setFactorTable(table);
      EvalPoint point =
          perplexity.run(session, cancellation, (done, _) -> report(readTokens + done));
      readTokens += perplexity.tokens();
      return point.perplexity().orElseThrow().perplexity();
    }

    private void report(long tokens) {
      double fraction = (double) tokens / allTokens;
      long left = Math.round(elapsed().toNanos() * (1 / fraction - 1));
      listener.onProgress(
          new RopeSearchProgress(
              evaluations,
              options.evaluations(),
              evolution.generation(),
              evaluations == 0
                  ? OptionalDouble.empty()
                  : OptionalDouble.of(evolution.best().perplexity()),
              fraction,
              Duration.ofNanos(left)));
    }

    private Duration elapsed() {
      return Duration.ofNanos(System.nanoTime() - start);
    }
  }
}
