package dev.gatun.bench;

import dev.gatun.LlamaModel;
import dev.gatun.internal.ContextParameters;
import dev.gatun.internal.ModelParameters;
import dev.gatun.internal.NativeCells;
import dev.gatun.internal.NativeContext;
import dev.gatun.internal.NativeMemory;
import dev.gatun.internal.NativeModel;
import dev.gatun.internal.NativeSparse;
import dev.gatun.internal.RopeParameters;
import dev.gatun.kv.SparseAttention;
import dev.gatun.rope.RopeFacts;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.RopeSpec;
import dev.gatun.rope.TwoBand;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/**
 * What attention over chosen pages costs and keeps.
 *
 * <p>{@code recall MODEL TEXT TOKENS BUDGET SCALING}: reads so many tokens of a text, then 64 more
 * one by one, and prints how much of full attention falls on the pages that are met. {@code speed
 * MODEL BUDGET}: milliseconds of processor time for a token at 2,048 and 32,768 cells in turn, with
 * all keys and with pages. The cells are copies of a text of 512 random tokens. One thread.
 */
public final class PageAttention {
  private static final int NEXT = 64;
  private static final int BATCH = 512;
  private static final int FEW = 2048;
  private static final int MANY = 32_768;
  private static final int ROUNDS = 4;
  private static final int TOKENS = 12;

  private PageAttention() {}

  /** Runs a measurement. */
  public static void main(String[] args) throws IOException {
    Path file = Path.of(args[1]);
    try (LlamaModel model = LlamaModel.load(file)) {
      NativeModel loaded =
          NativeModel.load(
              List.of(file), new ModelParameters(0, -1, false, false, List.of(), f -> true, false));
      if (args[0].equals("recall")) {
        int[] text = model.tokenizer().encode(Files.readString(Path.of(args[2])), true, false);
        recall(model, loaded, text, Integer.parseInt(args[3]), Integer.parseInt(args[4]), args[5]);
      } else {
        speed(model, loaded, Integer.parseInt(args[2]));
      }
      loaded.release();
    }
  }

  private static NativeContext context(
      LlamaModel model, NativeModel loaded, int tokens, RopeScaling asked) {
    RopeScaling scaling =
        asked instanceof TwoBand bands
            ? bands.resolved(model.trainedContextTokens(), tokens)
            : asked;
    return new NativeContext(
        loaded,
        new ContextParameters(
            tokens,
            BATCH,
            BATCH,
            1,
            1,
            1,
            50,
            1,
            1,
            -1,
            RopeParameters.of(scaling, RopeFacts.of(model.file()).basis(), true, false),
            false,
            true,
            false),
        "pages");
  }

  private static void read(NativeContext context, int[] tokens, int from, int to) {
    for (int at = from; at < to; at += BATCH) {
      int count = Math.min(BATCH, to - at);
      for (int i = 0; i < count; i++) {
        context.put(i, tokens[at + i], at + i, 0, i == count - 1);
      }
      decode(context, count);
    }
  }

  private static void decode(NativeContext context, int count) {
    if (context.decode(count) != 0) {
      throw new IllegalStateException(context.error().message());
    }
  }

  private static void recall(
      LlamaModel model, NativeModel loaded, int[] text, int length, int budget, String spec) {
    double factor = Math.max(1, (double) length / model.trainedContextTokens());
    NativeContext context = context(model, loaded, length + 256, RopeSpec.parse(spec).at(factor));
    context.guard().enter();
    read(context, text, 0, length);
    NativeSparse.set(context, SparseAttention.pages(budget), true);
    for (int i = 0; i < NEXT; i++) {
      read(context, text, length + i, length + i + 1);
    }
    NativeSparse.Counts counts = NativeSparse.counts(context);
    System.out.printf(
        "%,d tokens, %s, pages of %,d: met %.1f %% of the cells, %.2f %% of the attention (least %.2f %%)%n",
        length,
        spec,
        budget,
        100.0 * counts.attended() / counts.visible(),
        100 * counts.recall(),
        100 * counts.least());
    context.guard().exit();
    context.close();
  }

  private static void speed(LlamaModel model, NativeModel loaded, int budget) {
    NativeContext few = filled(model, loaded, FEW);
    NativeContext many = filled(model, loaded, MANY);
    double[] all = new double[ROUNDS];
    double[] pages = new double[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
      double base = milliseconds(few, FEW, SparseAttention.full(), round);
      double full = milliseconds(many, MANY, SparseAttention.full(), round);
      double chosen = milliseconds(many, MANY, SparseAttention.pages(budget), round);
      all[round] = full / base;
      pages[round] = chosen / base;
      System.out.printf(
          "%,d cells, all keys %.1f ms; %,d cells, all keys %.1f ms (%.2f times), pages of %,d %.1f ms (%.2f times)%n",
          FEW, base, MANY, full, all[round], budget, chosen, pages[round]);
    }
    Arrays.sort(all);
    Arrays.sort(pages);
    System.out.printf(
        "median: all keys %.2f times, pages %.2f times%n", all[ROUNDS / 2], pages[ROUNDS / 2]);
    few.close();
    many.close();
  }

  private static NativeContext filled(LlamaModel model, NativeModel loaded, int cells) {
    NativeContext context = context(model, loaded, cells + BATCH, RopeScaling.yarn(8));
    context.guard().enter();
    read(context, new Random(1).ints(BATCH, 10, 2000).toArray(), 0, BATCH);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment rows = NativeCells.read(context, 0, 0, BATCH, arena);
      for (int at = BATCH; at < cells; at += BATCH) {
        int[] positions = IntStream.range(at, at + BATCH).toArray();
        NativeCells.write(context, 0, positions, positions, rows);
      }
    }
    context.guard().exit();
    return context;
  }

  /** Returns the median of some tokens, of which the first two do not count. */
  private static double milliseconds(
      NativeContext context, int cells, SparseAttention sparse, int round) {
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    double[] times = new double[TOKENS];
    context.guard().enter();
    NativeSparse.set(context, sparse, false);
    for (int i = -2; i < TOKENS; i++) {
      long began = threads.getCurrentThreadCpuTime();
      context.put(0, 100 + 7 * (i + 2) + round, cells + i + 2, 0, true);
      decode(context, 1);
      if (i >= 0) {
        times[i] = (threads.getCurrentThreadCpuTime() - began) / 1e6;
      }
    }
    NativeMemory.remove(context, 0, cells, NativeCells.END);
    context.guard().exit();
    Arrays.sort(times);
    return times[TOKENS / 2];
  }
}
