package dev.gatun.bench;

import dev.gatun.ContextOptions;
import dev.gatun.GenerationOptions;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.LlamaSession;
import dev.gatun.MemoryUse;
import dev.gatun.PrefixCache;
import dev.gatun.PrefixCacheOptions;
import dev.gatun.PrefixReuse;
import dev.gatun.rope.RopeScaling;
import dev.gatun.sampling.Sampler;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Many sessions over one long beginning: what they take in cells and in memory, and whether each
 * says what a run of its own says; forked from one session, then opened from the prefix cache.
 *
 * <p>Resident memory is that of the process. What the Java heap holds live is told apart, because
 * the heap grows and shrinks as the collector likes; fix it with {@code -Xms -Xmx
 * -XX:+AlwaysPreTouch}, and the difference of resident memory is the native side's.
 *
 * <p>{@code java ... dev.gatun.bench.SharedPrefix MODEL TEXT [prefix [sessions [own]]]}. Linux: the
 * resident memory is read from {@code /proc}.
 */
public final class SharedPrefix {
  private static final GenerationOptions GREEDY =
      GenerationOptions.defaults().withSampler(Sampler.greedy()).withMaxTokens(8);

  private final LlamaModel model;
  private final int[] text;
  private final int prefix;
  private final int forks;
  private final int own;

  private SharedPrefix(LlamaModel model, int[] text, int prefix, int forks, int own) {
    this.model = model;
    this.text = text;
    this.prefix = prefix;
    this.forks = forks;
    this.own = own;
  }

  /** Runs it. */
  public static void main(String[] args) throws IOException {
    int prefix = args.length > 2 ? Integer.parseInt(args[2]) : 16_384;
    int forks = args.length > 3 ? Integer.parseInt(args[3]) : 128;
    int own = args.length > 4 ? Integer.parseInt(args[4]) : 8;
    try (LlamaModel model = LlamaModel.load(Path.of(args[0]))) {
      int[] text = model.tokenizer().encode(Files.readString(Path.of(args[1])));
      if (text.length < prefix + forks + own) {
        throw new IllegalArgumentException(
            "the text has %d tokens and %d are needed"
                .formatted(text.length, prefix + forks + own));
      }
      new SharedPrefix(model, text, prefix, forks, own).run();
    }
  }

  private void run() {
    List<String> solo = solo();
    forked(solo);
    cached(solo);
  }

  private ContextOptions options(int sequences) {
    return ContextOptions.defaults()
        .withContextTokens(prefix + (forks + 1) * (own + 16))
        .withMaxSequences(sequences)
        .withUnifiedKv(true)
        .withReproducible(true)
        .withThreads(1)
        .withBatchThreads(1)
        .withRopeScaling(RopeScaling.auto());
  }

  /** What belongs to one session: tokens from the end of the text, different for each. */
  private int[] own(int index) {
    int from = text.length - own - index;
    return Arrays.copyOfRange(text, from, from + own);
  }

  private List<String> solo() {
    List<String> answers = new ArrayList<>();
    try (LlamaContext context = model.newContext(options(1));
        LlamaSession session = context.newSession()) {
      long began = System.nanoTime();
      session.append(Arrays.copyOf(text, prefix));
      print("solo: reading %,d tokens: %.1f s", prefix, seconds(began));
      print("solo: context bytes %,d, cells %,d", contextBytes(context), context.usedCells());
      began = System.nanoTime();
      for (int i = 0; i < forks; i++) {
        session.append(own(i));
        answers.add(session.generate(GREEDY).text());
        session.truncate(prefix);
      }
      print("solo: %d answers: %.2f s", forks, seconds(began));
    }
    return answers;
  }

  /** One session that has read the beginning and given an answer. */
  private LlamaSession readPrefix(LlamaContext context) {
    LlamaSession root = context.newSession();
    root.append(Arrays.copyOf(text, prefix));
    root.append(own(0));
    root.generate(GREEDY).text();
    root.truncate(prefix);
    return root;
  }

  private void forked(List<String> solo) {
    print("--- forked from one session");
    try (LlamaContext context = model.newContext(options(forks + 1));
        LlamaSession root = readPrefix(context)) {
      Use one = Use.of(context);
      print("one session of %d: %s", forks + 1, one);
      List<LlamaSession> sessions = new ArrayList<>();
      long began = System.nanoTime();
      for (int i = 0; i < forks; i++) {
        sessions.add(root.fork());
      }
      print("%d forks: %.3f ms each", forks, 1e3 * seconds(began) / forks);
      answer(sessions, solo, context, one);
    }
  }

  private void cached(List<String> solo) {
    print("--- opened from the prefix cache");
    try (LlamaContext context = model.newContext(options(forks + 2));
        PrefixCache cache = context.newPrefixCache(PrefixCacheOptions.defaults())) {
      LlamaSession root = readPrefix(context);
      Use one = Use.of(context);
      print("one session of %d: %s", forks + 2, one);
      cache.store(root);
      root.close();
      List<LlamaSession> sessions = new ArrayList<>();
      long began = System.nanoTime();
      for (int i = 0; i < forks; i++) {
        int[] whole = Arrays.copyOf(text, prefix + own);
        System.arraycopy(own(i), 0, whole, prefix, own);
        LlamaSession session = context.newSession();
        PrefixReuse reuse = cache.open(session, whole);
        session.append(Arrays.copyOfRange(whole, reuse.tokens(), prefix));
        sessions.add(session);
      }
      print("opening %d sessions: %.3f ms each", forks, 1e3 * seconds(began) / forks);
      answer(sessions, solo, context, one);
      print("%s", cache.stats());
    }
  }

  private void answer(
      List<LlamaSession> sessions, List<String> solo, LlamaContext context, Use one) {
    print("all open: %s", Use.of(context).comparedWith(one));
    long began = System.nanoTime();
    int same = 0;
    for (int i = 0; i < forks; i++) {
      sessions.get(i).append(own(i));
      same += sessions.get(i).generate(GREEDY).text().equals(solo.get(i)) ? 1 : 0;
    }
    print("%d answers: %.2f s", forks, seconds(began));
    print("answers as in a solo run: %d of %d", same, forks);
    print("all answered: %s", Use.of(context).comparedWith(one));
  }

  /** What is in use, in bytes but for the cells. */
  private record Use(int cells, long context, long heap, long resident) {
    static Use of(LlamaContext context) {
      System.gc();
      Runtime runtime = Runtime.getRuntime();
      return new Use(
          context.usedCells(),
          contextBytes(context),
          runtime.totalMemory() - runtime.freeMemory(),
          residentBytes());
    }

    String comparedWith(Use one) {
      return "%s; cells %.4f, context %.4f, resident memory %.4f of one session's; Java heap %+,d"
          .formatted(
              this,
              (double) cells / one.cells,
              (double) context / one.context,
              (double) resident / one.resident,
              heap - one.heap);
    }

    @Override
    public String toString() {
      return "cells %,d, context bytes %,d, live Java heap %,d, resident memory %,d"
          .formatted(cells, context, heap, resident);
    }
  }

  private static long contextBytes(LlamaContext context) {
    return context.memory().stream().mapToLong(MemoryUse::contextBytes).sum();
  }

  private static long residentBytes() {
    try {
      return Files.readAllLines(Path.of("/proc/self/status")).stream()
          .filter(line -> line.startsWith("VmRSS:"))
          .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) << 10)
          .findFirst()
          .orElseThrow();
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private static double seconds(long since) {
    return (System.nanoTime() - since) / 1e9;
  }

  private static void print(String format, Object... values) {
    System.out.printf(format + "%n", values);
  }
}
