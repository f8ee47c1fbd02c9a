package dev.gatun.cli;

import dev.gatun.LlamaModel;
import dev.gatun.eval.ContextScaling;
import dev.gatun.eval.EvalConfiguration;
import dev.gatun.eval.EvalPoint;
import dev.gatun.eval.Eviction;
import dev.gatun.eval.EvictionMode;
import dev.gatun.eval.EvictionResult;
import dev.gatun.eval.RecallOptions;
import dev.gatun.kv.EvictionPolicy;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.Function;

/** Compares eviction policies: recall and perplexity against the share of the cells that stay. */
final class EvictEvalCommand extends EvalCommand {
  private static final int DEFAULT_TOKENS = 2048;
  private static final String DEFAULT_POLICIES =
      "lookahead,contrast,sentences,spans,snapkv,h2o,tova,kvzip,plaindiff:mean,keydiff,expected,"
          + "keynorm,recent,random";
  private static final List<String> MODES = List.of("known", "unknown", "text");

  private final PlotFlag plot;
  private List<EvictionPolicy> policies = policies(DEFAULT_POLICIES);
  private List<Double> budgets = List.of(0.5, 0.3, 0.2, 0.1, 0.05);
  private List<EvictionMode> modes =
      List.of(EvictionMode.KNOWN, EvictionMode.UNKNOWN, EvictionMode.TEXT);
  private RecallOptions recall = RecallOptions.needles(1).withTrials(100);
  private int windows = 16;

  EvictEvalCommand() {
    this(ChartWriter::draw);
  }

  EvictEvalCommand(ChartWriter charts) {
    plot = new PlotFlag(charts);
  }

  @Override
  String name() {
    return "evict-eval";
  }

  @Override
  String summary() {
    return "Compares eviction policies: recall and perplexity against the share of cells kept";
  }

  @Override
  String footer() {
    return """
    Each prompt hides one to four facts in prose and asks for one. In mode known the whole prompt is
    read, cells are evicted, and the answer is generated; in mode unknown the question comes after
    the eviction; in mode text the first half of a window is read and cut, and the perplexity of the
    second half is measured. A budget is the share of all cells in use when they are evicted, those
    of the question, the 2 first and the 8 last tokens (which always stay) among them.

      gatun evict-eval --policies contrast,snapkv,h2o,random --budgets 50,20 --mode known
      gatun evict-eval --rope rerope --length 1024 --questions 40
    """;
  }

  @Override
  void declareMore(OptionTable table) {
    flags.declareLengths(
        table,
        "-c,--lengths,--length",
        "Tokens of prompt and answer, one number or several (the trained length, at most 2048).");
    table
        .value(
            "--policies",
            "LIST",
            "Policies to compare (" + DEFAULT_POLICIES + ").",
            v -> policies = policies(v))
        .value(
            "--budgets",
            "LIST",
            "Shares of the cells that stay, in percent (50,30,20,10,5).",
            v -> budgets = budgets(v))
        .value(
            "--mode",
            "LIST",
            "When cells are evicted: known, unknown, text (all).",
            v -> modes = modes(v))
        .value(
            "--questions",
            "N",
            "Questions for each result (100).",
            v -> recall = recall.withTrials(Values.whole("--questions", v, 1, 1_000_000)))
        .value(
            SharedFlag.SEED,
            v -> recall = recall.withSeed(Values.whole("--seed", v, 0, Integer.MAX_VALUE)))
        .value(
            SharedFlag.ANSWER_TOKENS,
            v -> recall = recall.withAnswerTokens(Values.whole("--answer-tokens", v, 1, 4096)))
        .value(
            "--windows",
            "N",
            "Most windows of the text for its perplexity (16).",
            v -> windows = Values.whole("--windows", v, 1, 1_000_000));
    plot.declare(
        table,
        "Draw accuracy (and, beside it, perplexity) over the budget (.png or .svg), with the"
            + " numbers as .json.");
  }

  private static List<EvictionPolicy> policies(String value) {
    List<EvictionPolicy> list = new ArrayList<>();
    for (String part : value.split(",", -1)) {
      try {
        list.add(EvictionPolicy.parse(part));
      } catch (IllegalArgumentException e) {
        throw CliException.usage("--policies: " + e.getMessage());
      }
    }
    return distinct(list, EvictionPolicy::name);
  }

  private static List<Double> budgets(String value) {
    List<Double> list = new ArrayList<>();
    for (String part : value.split(",", -1)) {
      Values.number("--budgets", part, 0.1, 100);
      list.add(Double.parseDouble(part) / 100);
    }
    return distinct(list, share -> share);
  }

  private static List<EvictionMode> modes(String value) {
    List<EvictionMode> list = new ArrayList<>();
    for (String part : value.split(",", -1)) {
      list.add(EvictionMode.valueOf(Values.word("--mode", part, MODES).toUpperCase(Locale.ROOT)));
    }
    return distinct(list, mode -> mode);
  }

  /** What is named twice is measured once. */
  private static <T> List<T> distinct(List<T> list, Function<T, Object> what) {
    Set<Object> seen = new HashSet<>();
    return list.stream().filter(one -> seen.add(what.apply(one))).toList();
  }

  @Override
  List<Eviction> tasks(LlamaModel model, String text) {
    if (model.isRecurrent() || model.isHybrid()) {
      throw CliException.usage(
          model.description()
              + " keeps a recurrent state, of which nothing can be evicted; name another model with"
              + " -m");
    }
    Eviction.Options options = new Eviction.Options(policies, budgets, modes, recall, windows);
    List<Eviction> tasks = new ArrayList<>();
    for (int length : flags.lengths(List.of(EvalFlags.trained(model, DEFAULT_TOKENS)))) {
      for (ContextScaling scaling : flags.scalings("model")) {
        tasks.addAll(
            Eviction.tasks(
                new EvalConfiguration(model, flags.context(), scaling), text, length, options));
      }
    }
    return tasks;
  }

  @Override
  List<EvalReport.Column> columns() {
    return List.of();
  }

  /** The points of one scaling, length and mode. */
  private record Group(String method, int tokens, EvictionMode mode) {
    static Group of(EvalPoint point) {
      return new Group(point.method(), point.contextTokens(), eviction(point).mode());
    }

    String title() {
      String what =
          switch (mode) {
            case KNOWN -> "answers, question known";
            case UNKNOWN -> "answers, question not known";
            case TEXT -> "perplexity";
          };
      return what + ", " + Values.grouped(tokens) + " tokens, scaling " + method;
    }
  }

  private static EvictionResult eviction(EvalPoint point) {
    return point.eviction().orElseThrow();
  }

  private static double value(EvalPoint point) {
    return eviction(point).mode() == EvictionMode.TEXT
        ? point.perplexity().orElseThrow().perplexity()
        : point.recall().orElseThrow().accuracy();
  }

  @Override
  void finish(Io io, EvalReport report, boolean complete) {
    SequencedMap<Group, List<EvalPoint>> groups = new LinkedHashMap<>();
    for (EvalPoint point : report.points()) {
      groups.computeIfAbsent(Group.of(point), _ -> new ArrayList<>()).add(point);
    }
    if (!flags.json()) {
      groups.forEach((group, points) -> io.print(table(group, points) + "\n"));
    }
    if (complete && plot.isGiven()) {
      groups.forEach(
          (group, points) -> {
            String suffix = groups.size() == 1 ? "" : "-" + fileName(group);
            io.note("chart: " + plot.draw(chart(group, points), suffix));
          });
      io.note("numbers: " + plot.writePoints(report.points()));
    }
  }

  private static String fileName(Group group) {
    return (group.mode().label() + "-" + group.method() + "-" + group.tokens())
        .replaceAll("[^A-Za-z0-9.]+", "-");
  }

  private String table(Group group, List<EvalPoint> points) {
    String[] headings = new String[budgets.size() + 1];
    headings[0] = "policy \\ cells kept";
    for (int i = 0; i < budgets.size(); i++) {
      headings[i + 1] = percent(budgets.get(i));
    }
    Table table = new Table(headings);
    String full = "";
    for (int i = 0; i < points.size(); ) {
      String policy = eviction(points.get(i)).policy();
      String[] line = new String[headings.length];
      line[0] = policy;
      for (int column = 1; column < line.length; column++) {
        line[column] = "-";
      }
      if (policy.equals(EvictionResult.FULL)) {
        full = cell(points.get(i++));
        continue;
      }
      for (; i < points.size() && eviction(points.get(i)).policy().equals(policy); i++) {
        line[budgets.indexOf(eviction(points.get(i)).budget()) + 1] = cell(points.get(i));
      }
      table.row(line);
    }
    return group.title() + "; full cache: " + full + "\n" + table;
  }

  private static String cell(EvalPoint point) {
    return eviction(point).mode() == EvictionMode.TEXT
        ? EvalReport.decimal(value(point), 2)
        : percent(value(point));
  }

  private static String percent(double share) {
    double percent = Math.rint(1000 * share) / 10;
    return EvalReport.decimal(percent, percent == Math.rint(percent) ? 0 : 1) + " %";
  }

  private static Chart chart(Group group, List<EvalPoint> points) {
    SequencedMap<String, List<double[]>> series = new LinkedHashMap<>();
    for (EvalPoint point : points) {
      EvictionResult result = eviction(point);
      if (!result.policy().equals(EvictionResult.FULL)) {
        series
            .computeIfAbsent(result.policy(), _ -> new ArrayList<>())
            .add(new double[] {100 * result.budget(), value(point)});
      }
    }
    series.values().forEach(line -> line.sort((a, b) -> Double.compare(a[0], b[0])));
    boolean text = group.mode() == EvictionMode.TEXT;
    return new Chart.Lines(
        group.title(),
        "cells kept, percent",
        text ? "perplexity" : "share answered",
        series,
        true,
        text);
  }
}
