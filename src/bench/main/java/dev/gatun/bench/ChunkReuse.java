package dev.gatun.bench;

import com.sun.management.OperatingSystemMXBean;
import dev.gatun.CachedChunk;
import dev.gatun.ChunkDivergence;
import dev.gatun.ChunkOptions;
import dev.gatun.ChunkReport;
import dev.gatun.ChunkStore;
import dev.gatun.ContextOptions;
import dev.gatun.Generation;
import dev.gatun.GenerationOptions;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.LlamaRuntime;
import dev.gatun.LlamaSession;
import dev.gatun.Tokenizer;
import dev.gatun.rope.RopeScaling;
import dev.gatun.sampling.Sampler;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/**
 * Chunk reuse against a full prefill: how much sooner the first token comes, and how far the model
 * is then from what it would have said.
 *
 * <p>{@code java ... dev.gatun.bench.ChunkReuse quality MODEL TEXT [questions [chunks [tokens
 * [recompute,recompute,...]]]]} asks for a pass key that stands in one of several chunks of prose,
 * and compares the distributions over question and answer, and over prose that goes on. {@code java
 * ... dev.gatun.bench.ChunkReuse speed MODEL [chunks [tokens [recompute]]]} takes times: to the
 * first token after a question behind the chunks, and of reading the same tokens in full. With one
 * thread the processor time is what a machine without other work would take.
 */
public final class ChunkReuse {
  private static final List<String> NAMES =
      List.of(
          "Mira", "Oskar", "Lena", "Tomas", "Ada", "Felix", "Nora", "Hugo", "Iris", "Jonas",
          "Clara", "Anton", "Vera", "Emil", "Rosa", "Karl");
  private static final GenerationOptions ANSWER =
      GenerationOptions.defaults().withSampler(Sampler.greedy()).withMaxTokens(20);

  private ChunkReuse() {}

  /** Runs a measurement. */
  public static void main(String[] args) throws IOException {
    LlamaRuntime.load();
    try (LlamaModel model = LlamaModel.load(Path.of(args[1]))) {
      if (args[0].equals("speed")) {
        speed(model, number(args, 2, 32), number(args, 3, 512), number(args, 4, 8));
      } else {
        String text = Files.readString(Path.of(args[2]));
        int[] recompute =
            Arrays.stream((args.length > 6 ? args[6] : "0,1,8").split(","))
                .mapToInt(Integer::parseInt)
                .toArray();
        quality(
            model, text, number(args, 3, 200), number(args, 4, 8), number(args, 5, 48), recompute);
      }
    }
  }

  private static int number(String[] args, int index, int otherwise) {
    return args.length > index ? Integer.parseInt(args[index]) : otherwise;
  }

  private static ContextOptions options(int tokens, double factor) {
    return ContextOptions.defaults()
        .withContextTokens(tokens)
        .withThreads(1)
        .withBatchThreads(1)
        .withRopeScaling(factor > 1 ? RopeScaling.yarn((float) factor) : RopeScaling.none());
  }

  // ---- quality ----------------------------------------------------------------------------------

  private static void quality(
      LlamaModel model, String prose, int questions, int count, int size, int[] recompute) {
    Tokenizer tokenizer = model.tokenizer();
    int[] text = tokenizer.encode(prose, false, false);
    int[] prefix = tokenizer.encode("<|user|>\n", true, true);
    int[] right = new int[recompute.length];
    int[] sameAnswer = new int[recompute.length];
    double[] asked = new double[recompute.length];
    double[] continued = new double[recompute.length];
    int fullRight = 0;
    ContextOptions options = options((count + 2) * size + 64, 2);
    ChunkStore store = ChunkStore.behind(prefix);
    Random random = new Random(1);
    try (LlamaContext context = model.newContext(options);
        LlamaSession session = context.newSession();
        LlamaContext other = model.newContext(options);
        LlamaSession reference = other.newSession()) {
      for (int i = 0; i < questions; i++) {
        List<String> names = new ArrayList<>(NAMES);
        Collections.shuffle(names, random);
        String key = Integer.toString(10_000 + random.nextInt(90_000));
        int[] fact =
            tokenizer.encode(
                " The pass key of " + names.getFirst() + " is " + key + ". Remember it. ",
                false,
                false);
        int[] question =
            tokenizer.encode(
                "\nWhat is the pass key of "
                    + names.getFirst()
                    + "?<|end|>\n<|assistant|>\nThe pass key of "
                    + names.getFirst()
                    + " is ",
                false,
                true);
        int holds = random.nextInt(count);
        List<CachedChunk> chunks = new ArrayList<>();
        int[] continuation = new int[0];
        session.clear();
        for (int c = 0; c < count; c++) {
          int begin = random.nextInt(text.length - size - 32);
          int[] tokens = Arrays.copyOfRange(text, begin, begin + size);
          continuation = Arrays.copyOfRange(text, begin + size, begin + size + 32);
          if (c == holds) {
            System.arraycopy(fact, 0, tokens, random.nextInt(size - fact.length), fact.length);
          }
          chunks.add(store.read(session, tokens));
        }
        Collections.shuffle(chunks.subList(0, count - 1), random);
        reference.append(prefix);
        chunks.forEach(chunk -> reference.append(chunk.tokens()));
        reference.append(question);
        String full = answer(reference);
        fullRight += full.contains(key) ? 1 : 0;
        reference.clear();
        int[] answer = tokenizer.encode(full, false, false);
        int[] both = Arrays.copyOf(question, question.length + answer.length);
        System.arraycopy(answer, 0, both, question.length, answer.length);
        for (int r = 0; r < recompute.length; r++) {
          session.clear();
          store.assemble(session, chunks, ChunkOptions.defaults().withRecompute(recompute[r]));
          int size0 = session.size();
          continued[r] += divergence(session, reference, continuation);
          asked[r] += divergence(session, reference, both);
          session.append(question);
          String mine = answer(session);
          right[r] += mine.contains(key) ? 1 : 0;
          sameAnswer[r] += mine.equals(full) ? 1 : 0;
          session.truncate(size0);
        }
      }
    }
    System.out.printf(
        "%d chunks x %d tokens, YaRN 2, %d questions: full prefill answers %d%n",
        count, size, questions, fullRight);
    for (int r = 0; r < recompute.length; r++) {
      System.out.printf(
          "recompute %2d: answers %d (%d word by word as the full prefill), KL %.4f over question and answer, %.4f over prose that goes on%n",
          recompute[r], right[r], sameAnswer[r], asked[r] / questions, continued[r] / questions);
    }
  }

  private static double divergence(LlamaSession session, LlamaSession reference, int[] tokens) {
    ChunkDivergence divergence = ChunkStore.compareWithFullPrefill(session, reference, tokens);
    return divergence.mean();
  }

  private static String answer(LlamaSession session) {
    try (Generation generation = session.generate(ANSWER)) {
      return generation.text();
    }
  }

  // ---- speed ------------------------------------------------------------------------------------

  /** Wall and processor seconds. */
  private record Time(double wall, double processor) {
    static Time now() {
      OperatingSystemMXBean system =
          (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
      return new Time(System.nanoTime() / 1e9, system.getProcessCpuTime() / 1e9);
    }

    Time since(Time start) {
      return new Time(wall - start.wall, processor - start.processor);
    }

    @Override
    public String toString() {
      return "%.2f s (%.2f s of processor time)".formatted(wall, processor);
    }
  }

  private static void speed(LlamaModel model, int count, int size, int recompute) {
    Random random = new Random(1);
    int tokens = count * size + 64;
    int[] prefix = {model.tokenizer().bos().orElse(1), 100, 101, 102};
    int[] question = random(random, model, 16);
    double factor = Math.max(1, Math.ceil((double) tokens / model.trainedContextTokens()));
    ChunkStore store = ChunkStore.behind(prefix);
    try (LlamaContext context = model.newContext(options(tokens, factor));
        LlamaSession session = context.newSession()) {
      List<CachedChunk> chunks = new ArrayList<>();
      Time begin = Time.now();
      for (int c = 0; c < count; c++) {
        chunks.add(store.read(session, random(random, model, size)));
      }
      System.out.printf("%d chunks of %d tokens, each alone: %s%n", count, size, since(begin));
      Collections.shuffle(chunks, random);
      session.clear();
      begin = Time.now();
      ChunkReport report =
          store.assemble(session, chunks, ChunkOptions.defaults().withRecompute(recompute));
      session.append(question);
      session.logits();
      Time assembled = since(begin);
      System.out.printf("assembled, with the question: %s; %s%n", assembled, report);
      int[] whole = session.tokens();
      session.clear();
      begin = Time.now();
      session.append(whole);
      session.logits();
      Time full = since(begin);
      System.out.printf(
          "full prefill of %,d tokens: %s; to the first token %.2f %% of it (%.2f %% of processor time)%n",
          whole.length,
          full,
          100 * assembled.wall() / full.wall(),
          100 * assembled.processor() / full.processor());
    }
  }

  private static Time since(Time begin) {
    return Time.now().since(begin);
  }

  private static int[] random(Random random, LlamaModel model, int count) {
    return random.ints(count, 110, model.vocabularySize()).toArray();
  }
}
