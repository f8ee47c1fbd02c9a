package dev.gatun;

import dev.gatun.internal.NativeAttention;
import dev.gatun.internal.NativeContext;
import dev.gatun.kv.PageBounds;
import dev.gatun.kv.TokenRange;
import dev.gatun.sampling.Sampler;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.IntStream;

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
  int[] find() {
    long began = System.nanoTime();
    if (options.draftTokens() > 0) {
      probe = withDraft();
    }
    int[] byWords =
        options.keys() == RetrievalOptions.Keys.ATTENTION
            ? new int[0]
            : order(pages.wordScores(probe));
    int[] ranked =
        options.keys() == RetrievalOptions.Keys.WORDS
            ? byWords
            : inTurn(order(byAttention()), byWords);
    searching = System.nanoTime() - began;
    List<Integer> best = first(ranked, options.candidateTokens());
    if (best.isEmpty()) {
      return ranked;
    }
    began = System.nanoTime();
    buffer = worst(ranked);
    int[] looked = looked(best);
    looking = System.nanoTime() - began;
    // A draft that guesses wrong draws the attention to what it guessed; words do not follow it.
    return options.keys() == RetrievalOptions.Keys.BOTH ? inTurn(looked, byWords) : looked;
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

  /** The pages by their scores, the highest first; those that are equal as they are in the text. */
  private static int[] order(float[] scores) {
    long[] keys = new long[scores.length];
    for (int page = 0; page < keys.length; page++) {
      int bits = Float.floatToIntBits(-scores[page]);
      int ascending = bits ^ bits >> 31 & Integer.MAX_VALUE; // whole numbers in the order of floats
      keys[page] = (long) ascending << 32 | page;
    }
    Arrays.sort(keys);
    return Arrays.stream(keys).mapToInt(key -> (int) key).toArray();
  }

  private static int[] inTurn(int[] one, int[] other) {
    int[] both = new int[one.length + other.length];
    BitSet seen = new BitSet();
    int count = 0;
    for (int i = 0; i < Math.max(one.length, other.length); i++) {
      for (int[] each : List.of(one, other)) {
        if (i < each.length && !seen.get(each[i])) {
          seen.set(each[i]);
          both[count++] = each[i];
        }
      }
    }
    return Arrays.copyOf(both, count);
  }

  // ---- looking at candidates --------------------------------------------------------------------

  /**
   * The candidates, those first that the model attends to most. Groups that fill the cache compete
   * until those that are left fit into one.
   */
  private int[] looked(List<Integer> best) {
    candidates = best.size();
    List<Integer> left = best;
    while (true) {
      List<List<Integer>> groups = groups(left);
      List<Integer> next = new ArrayList<>();
      for (List<Integer> group : groups) {
        float[] scores = attention(group);
        rounds++;
        int[] order = IntStream.of(order(scores)).map(group::get).toArray();
        if (groups.size() == 1) {
          return order;
        }
        int share = Math.min(groupRoom() / groups.size(), groupRoom() / 2);
        List<Integer> kept = first(order, share);
        next.addAll(kept.isEmpty() ? List.of(order[0]) : kept);
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
  private float[] attention(List<Integer> group) {
    pages.rewind();
    int begin = reader.size();
    pages.place(reader, group);
    pages.place(reader, buffer);
    NativeAttention.Scores scores =
        observed(0, context -> NativeAttention.scores(context, reader.cells().sequence()));
    float[] most = new float[group.size()];
    int at = begin;
    for (int i = 0; i < most.length; i++) {
      for (int end = at + pages.page(group.get(i)).size(); at < end; at++) {
        most[i] = Math.max(most[i], scores.maxima()[at]);
      }
    }
    return most;
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
  private List<Integer> worst(int[] ranked) {
    List<Integer> worst = new ArrayList<>();
    for (int i = ranked.length - 1; i >= 0 && tokens(worst) < options.pageTokens(); i--) {
      worst.add(ranked[i]);
    }
    return worst;
  }

  // ---- the result -------------------------------------------------------------------------------

  /** The best pages that fit, at least one, with their neighbours; ascending. */
  List<Integer> chosen(int[] ranked, int tokens) {
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
  private List<Integer> first(int[] ranked, int tokens) {
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
