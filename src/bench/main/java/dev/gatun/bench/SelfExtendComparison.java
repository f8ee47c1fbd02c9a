package dev.gatun.bench;

import dev.gatun.LlamaModel;
import dev.gatun.LlamaRuntime;
import dev.gatun.Tokenizer;
import dev.gatun.internal.ContextParameters;
import dev.gatun.internal.ModelParameters;
import dev.gatun.internal.NativeContext;
import dev.gatun.internal.NativeMemory;
import dev.gatun.internal.NativeModel;
import dev.gatun.internal.RopeParameters;
import dev.gatun.rope.RopeFacts;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.SelfExtend;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * Self-Extend twice: as upstream's tools do it, by shifting and dividing the positions of cached
 * keys block by block, and exactly, for each pair of a query and a key. Prints perplexity and
 * recall of a pass key.
 *
 * <p>{@code java ... dev.gatun.bench.SelfExtendComparison MODEL TEXT [length [group [window
 * [trials]]]]}
 */
public final class SelfExtendComparison {
  private static final String QUESTION =
      "\nWhat is the pass key of Mira?<|end|>\n<|assistant|>\nThe pass key of Mira is ";

  private final NativeContext context;
  private final int vocabulary;
  private final int group;
  private final int window;
  private final boolean exact;

  /** Next position. */
  private int past;

  /** First position that is not grouped yet. */
  private int grouped;

  private SelfExtendComparison(
      NativeContext context, int vocabulary, int group, int window, boolean exact) {
    this.context = context;
    this.vocabulary = vocabulary;
    this.group = group;
    this.window = window;
    this.exact = exact;
  }

  /** Runs the comparison. */
  public static void main(String[] args) throws IOException {
    Path file = Path.of(args[0]);
    int length = args.length > 2 ? Integer.parseInt(args[2]) : 1024;
    int group = args.length > 3 ? Integer.parseInt(args[3]) : 8;
    int window = args.length > 4 ? Integer.parseInt(args[4]) : 64;
    int trials = args.length > 5 ? Integer.parseInt(args[5]) : 40;
    LlamaRuntime.load();
    try (LlamaModel model = LlamaModel.load(file)) {
      NativeModel nativeModel =
          NativeModel.load(
              List.of(file), new ModelParameters(0, -1, false, false, List.of(), f -> true, false));
      Tokenizer tokenizer = model.tokenizer();
      int[] text = tokenizer.encode(Files.readString(Path.of(args[1])), false, false);
      RopeFacts facts = RopeFacts.of(model.file());
      for (boolean exact : new boolean[] {false, true}) {
        RopeScaling scaling = exact ? new SelfExtend(group, window, false) : RopeScaling.none();
        NativeContext context =
            new NativeContext(
                nativeModel,
                new ContextParameters(
                    length + 64,
                    512,
                    512,
                    1,
                    1,
                    1,
                    50,
                    1,
                    1,
                    -1,
                    RopeParameters.of(scaling, facts.basis(), true, false),
                    false,
                    true,
                    false),
                "comparison");
        try {
          SelfExtendComparison run =
              new SelfExtendComparison(context, model.vocabularySize(), group, window, exact);
          System.out.printf(
              "%-22s length %,d, group %d, window %d: perplexity %.2f, pass key %d of %d%n",
              exact ? "exact" : "by shifts (upstream)",
              length,
              group,
              window,
              run.perplexity(tokenizer, text, length, Math.max(1, 8192 / length)),
              run.passKeys(tokenizer, text, length, trials),
              trials);
        } finally {
          context.close();
        }
      }
      nativeModel.release();
    }
  }

  private double perplexity(Tokenizer tokenizer, int[] text, int length, int windows) {
    double loss = 0;
    int scored = 0;
    for (int w = 0; w < windows; w++) {
      int[] tokens = new int[length];
      tokens[0] = tokenizer.bos().orElseThrow();
      System.arraycopy(text, w * length, tokens, 1, length - 1);
      double[] losses = read(tokens);
      loss += Arrays.stream(losses).sum();
      scored += losses.length;
    }
    return Math.exp(loss / scored);
  }

  private int passKeys(Tokenizer tokenizer, int[] text, int length, int trials) {
    Random random = new Random(1);
    int[] question = tokenizer.encode(QUESTION, false, true);
    int[] begin = tokenizer.encode("<|user|>\n", true, true);
    int found = 0;
    for (int trial = 0; trial < trials; trial++) {
      String key = Integer.toString(10_000 + random.nextInt(90_000));
      int[] fact =
          tokenizer.encode(" The pass key of Mira is " + key + ". Remember it. ", false, false);
      int filler = length - begin.length - fact.length - question.length - 6;
      int from = random.nextInt(text.length - filler);
      int depth = random.nextInt(filler);
      int[] prompt = new int[begin.length + fact.length + question.length + filler];
      int at = put(begin, 0, begin.length, prompt, 0);
      at = put(text, from, depth, prompt, at);
      at = put(fact, 0, fact.length, prompt, at);
      at = put(text, from + depth, filler - depth, prompt, at);
      put(question, 0, question.length, prompt, at);
      read(prompt);
      StringBuilder answer = new StringBuilder();
      for (int i = 0; i < 6; i++) {
        int best = best();
        answer.append(tokenizer.decode(new int[] {best}));
        decode(new int[] {best});
      }
      if (answer.toString().contains(key)) {
        found++;
      }
    }
    return found;
  }

  private static int put(int[] from, int start, int count, int[] to, int at) {
    System.arraycopy(from, start, to, at, count);
    return at + count;
  }

  /** Reads a text from an empty memory; returns the loss of each token but the first. */
  private double[] read(int[] tokens) {
    NativeMemory.removeAll(context, 0);
    past = 0;
    grouped = 0;
    double[] losses = new double[tokens.length - 1];
    for (int start = 0; start < tokens.length; start += window) {
      int end = Math.min(tokens.length, start + window);
      decode(Arrays.copyOfRange(tokens, start, end));
      for (int i = start; i < end && i + 1 < tokens.length; i++) {
        MemorySegment row = context.logits(i - start, vocabulary);
        double sum = 0;
        for (int t = 0; t < vocabulary; t++) {
          sum += Math.exp(row.getAtIndex(ValueLayout.JAVA_FLOAT, t));
        }
        losses[i] = Math.log(sum) - row.getAtIndex(ValueLayout.JAVA_FLOAT, tokens[i + 1]);
      }
    }
    return losses;
  }

  private void decode(int[] tokens) {
    if (!exact) {
      groupOld();
    }
    for (int i = 0; i < tokens.length; i++) {
      context.put(i, tokens[i], past + i, 0, true);
    }
    int status = context.decode(tokens.length);
    if (status != 0) {
      throw new IllegalStateException("llama_decode returned " + status);
    }
    past += tokens.length;
  }

  /**
   * Groups whole windows that have become old: what they hold is moved to where its divided
   * positions begin, divided, and the rest is pulled after it.
   */
  private void groupOld() {
    while (past >= grouped + window) {
      int blocks = group * grouped / window;
      int gained = window / group * (group - 1);
      int shift = blocks * gained;
      NativeMemory.shift(context, 0, grouped, -1, shift);
      NativeMemory.divide(context, 0, grouped + shift, grouped + shift + window, group);
      if (past > grouped + window) {
        NativeMemory.shift(
            context, 0, grouped + shift + window, -1, window / group - shift - window);
      }
      past -= gained;
      grouped += window / group;
    }
  }

  private int best() {
    MemorySegment row = context.logits(-1, vocabulary);
    int best = 0;
    for (int t = 1; t < vocabulary; t++) {
      if (row.getAtIndex(ValueLayout.JAVA_FLOAT, t)
          > row.getAtIndex(ValueLayout.JAVA_FLOAT, best)) {
        best = t;
      }
    }
    return best;
  }
}
