package dev.gatun;

import dev.gatun.internal.NativeAttention;
import dev.gatun.internal.NativeContext;
import dev.gatun.kv.PageBounds;
import dev.gatun.kv.TokenRange;
import dev.gatun.sampling.Sampler;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;

/** The search for the pages of one question, in the memory's own session. */
final class PageSearch {
  /** Natural logarithm of the probability under which a token is a guess. */
  private static final double LEAST_SURE = Math.log(0.5);

  private final PageReader pages;
  private final RetrievalOptions options;
  private final LlamaSession reader;
  private final int[] question;
  private final int room;
  private final Cancellation cancellation;
  private int[] probe;
  private int candidates;
  private int rounds;
  private List<Integer> buffer = List.of();
  private long searching;
  private long looking;

  /**
   * Makes a search.
   *
   * @param question at least one token
   * @param room most tokens of pages at a time
   */
  PageSearch(
      PageReader pages,
      RetrievalOptions options,
      int[] question,
      int room,
      Cancellation cancellation) {
    this.pages = pages;
    this.options = options;
    this.reader = pages.session();
    this.question = question;
    this.probe = question;
    this.room = room;
    this.cancellation = cancellation;
  }

  /** Returns the pages, those first that matter most. */
  List<Integer> find() {
    long began = System.nanoTime();
    if (options.draftTokens() > 0) {
      probe = withDraft();
    }
    List<Integer> byWords =
        options.keys() == RetrievalOptions.Keys.ATTENTION
            ? List.of()
            : order(pages.wordScores(probe));
    List<Integer> ranked =
        options.keys() == RetrievalOptions.Keys.WORDS
            ? byWords
            : inTurn(order(byAttention()), byWords);
    searching = System.nanoTime() - began;
    if (options.candidateTokens() == 0) {
      return ranked;
    }
    began = System.nanoTime();
    buffer = worst(ranked);
    ranked = looked(first(ranked, options.candidateTokens()));
    looking = System.nanoTime() - began;
    // A draft that guesses wrong draws the attention to what it guessed; words do not follow it.
    return options.keys() == RetrievalOptions.Keys.BOTH ? inTurn(ranked, byWords) : ranked;
  }

  /**
   * The question and the answer that the model gives without the text, up to where it begins to
   * guess: what it says for sure is how such an answer begins, which asks for what must follow. A
   * guess would find pages with what was guessed.
   */
  private int[] withDraft() {
    pages.rewind();
    int begin = reader.size();
    GenerationOptions greedy =
        GenerationOptions.defaults()
            .withSampler(Sampler.greedy())
            .withLogProbabilities(0)
            .withMaxTokens(options.draftTokens())
            .withCancellation(cancellation);
    int sure = 0;
    try (Generation draft = reader.generate(question, greedy)) {
      for (Piece piece : draft) {
        if (piece.logProbability().orElse(0) < LEAST_SURE) {
          break;
        }
        sure++;
      }
    }
    PageReader.requireNotCancelled(cancellation);
    pages.noteResident(0);
    int[] held = reader.tokens();
    int end = Math.min(held.length, begin + question.length + sure);
    return Arrays.copyOfRange(held, begin, end);
  }

  // ---- judging all pages ------------------------------------------------------------------------

  private float[] byAttention() {
    if (pages.bounds().isEmpty()) {
      return new float[0];
    }
    PageBounds bounds = pages.bounds().get();
    pages.rewind();
    NativeAttention.Queries queries = observed(probe.length, NativeAttention::queries);
    PageRotation rotation =
        PageReader.inside(reader, () -> PageRotation.of(reader.context(), pages.segmentEnd()));
    return bounds.scores(rotation.turn(queries), queries.positions().length, queries.heads());
  }

  private static List<Integer> order(float[] scores) {
    List<Integer> order = new ArrayList<>(scores.length);
    for (int i = 0; i < scores.length; i++) {
      order.add(i);
    }
    order.sort(Comparator.comparing((Integer page) -> -scores[page]));
    return order;
  }

  private static List<Integer> inTurn(List<Integer> one, List<Integer> other) {
    Set<Integer> both = new LinkedHashSet<>();
    for (int i = 0; i < Math.max(one.size(), other.size()); i++) {
      if (i < one.size()) {
        both.add(one.get(i));
      }
      if (i < other.size()) {
        both.add(other.get(i));
      }
    }
    return List.copyOf(both);
  }

  // ---- looking at candidates --------------------------------------------------------------------

  /**
   * The candidates, those first that the model attends to most. Groups that fill the cache compete
   * until those that are left fit into one.
   */
  private List<Integer> looked(List<Integer> ranked) {
    candidates = ranked.size();
    if (candidates == 0) {
      return ranked;
    }
    List<Integer> left = ranked;
    while (true) {
      List<List<Integer>> groups = groups(left);
      List<Integer> next = new ArrayList<>();
      for (List<Integer> group : groups) {
        Map<Integer, Float> scores = attention(group);
        rounds++;
        List<Integer> order = new ArrayList<>(group);
        order.sort(Comparator.comparing((Integer page) -> -scores.get(page)));
        if (groups.size() == 1) {
          return order;
        }
        int share = Math.min(groupRoom() / groups.size(), groupRoom() / 2);
        List<Integer> kept = first(order, share);
        next.addAll(kept.isEmpty() ? order.subList(0, 1) : kept);
      }
      left = next;
    }
  }

  /** Tokens of pages in a group; the buffer behind them takes less than two pages. */
  private int groupRoom() {
    return room - 2 * options.pageTokens();
  }

  /** Deals pages into groups that fit, each with good and bad ones, in the order of the text. */
  private List<List<Integer>> groups(List<Integer> ranked) {
    int perGroup = groupRoom() / options.pageTokens();
    int count = tokens(ranked) <= groupRoom() ? 1 : (ranked.size() + perGroup - 1) / perGroup;
    // Pages are shorter than they may be, so fewer groups often do.
    count = Math.max(1, Math.min(count, (tokens(ranked) + groupRoom() - 1) / groupRoom() + 1));
    while (true) {
      List<List<Integer>> groups = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        groups.add(new ArrayList<>());
      }
      for (int i = 0; i < ranked.size(); i++) {
        groups.get(i % count).add(ranked.get(i));
      }
      groups.forEach(Collections::sort);
      if (groups.stream().allMatch(group -> tokens(group) <= groupRoom())) {
        return groups;
      }
      count++;
    }
  }

  /**
   * The most attention that any head pays to any token of each page, from any token asked with.
   * Heads that look at what is just before them, whatever it is, see the buffer.
   */
  private Map<Integer, Float> attention(List<Integer> group) {
    pages.rewind();
    int begin = reader.size();
    pages.place(reader, group);
    pages.place(reader, buffer);
    NativeAttention.Scores scores =
        observed(0, context -> NativeAttention.scores(context, reader.cells().sequence()));
    Map<Integer, Float> best = new HashMap<>();
    int at = begin;
    for (int page : group) {
      float most = 0;
      for (int end = at + pages.page(page).size(); at < end; at++) {
        most = Math.max(most, scores.maxima()[at]);
      }
      best.put(page, most);
    }
    return best;
  }

  /** What is observed while the reader appends the question. */
  private <T> T observed(int queryTokens, Function<NativeContext, T> result) {
    NativeContext context = reader.nativeContext();
    NativeAttention.Watch watch =
        NativeAttention.Watch.of(reader.cells().sequence())
            .from(reader.position())
            .withQueries(queryTokens);
    PageReader.inside(reader, () -> begin(context, watch));
    try {
      reader.append(probe, cancellation, (_, _) -> {});
      pages.noteResident(0);
      return PageReader.inside(reader, () -> result.apply(context));
    } finally {
      PageReader.inside(reader, () -> end(context));
    }
  }

  private Void begin(NativeContext context, NativeAttention.Watch watch) {
    reader.context().notObserved(); // a session's sums end here, and it is told so
    NativeAttention.begin(context, watch);
    return null;
  }

  private static Void end(NativeContext context) {
    NativeAttention.end(context);
    return null;
  }

  /** The pages that suit least, about one page's tokens. */
  private List<Integer> worst(List<Integer> ranked) {
    List<Integer> worst = new ArrayList<>();
    for (int i = ranked.size() - 1; i >= 0 && tokens(worst) < options.pageTokens(); i--) {
      worst.add(ranked.get(i));
    }
    return worst;
  }

  // ---- the result -------------------------------------------------------------------------------

  /** The best pages that fit, at least one, with their neighbours; ascending. */
  List<Integer> chosen(List<Integer> ranked, int tokens) {
    int left = Math.min(room, Math.max(tokens, options.pageTokens()));
    Set<Integer> chosen = new TreeSet<>();
    for (int page : ranked) {
      int last = Math.min(pages.pages() - 1, page + options.neighbours());
      for (int each = Math.max(0, page - options.neighbours()); each <= last; each++) {
        int size = pages.page(each).size();
        if (!chosen.contains(each)) {
          if (size > left) {
            return List.copyOf(chosen);
          }
          chosen.add(each);
          left -= size;
        }
      }
    }
    return List.copyOf(chosen);
  }

  /** The first pages that fit. */
  private List<Integer> first(List<Integer> ranked, int tokens) {
    int left = tokens;
    List<Integer> first = new ArrayList<>();
    for (int page : ranked) {
      left -= pages.page(page).size();
      if (left < 0) {
        break;
      }
      first.add(page);
    }
    return first;
  }

  private int tokens(List<Integer> numbers) {
    return numbers.stream().mapToInt(page -> pages.page(page).size()).sum();
  }

  RetrievalReport report(List<Integer> found, long placing) {
    List<TokenRange> ranges = new ArrayList<>();
    for (int number : found) {
      PagedText.Page page = pages.page(number);
      if (!ranges.isEmpty() && ranges.getLast().to() == page.from()) {
        ranges.set(ranges.size() - 1, new TokenRange(ranges.getLast().from(), page.to()));
      } else {
        ranges.add(new TokenRange(page.from(), page.to()));
      }
    }
    return new RetrievalReport(
        pages.pages(),
        candidates,
        rounds,
        ranges,
        found.size(),
        tokens(found),
        reader
            .context()
            .model()
            .tokenizer()
            .decode(Arrays.copyOfRange(probe, question.length, probe.length)),
        pages.residentCells(),
        Duration.ofNanos(searching),
        Duration.ofNanos(looking),
        Duration.ofNanos(placing));
  }
}
