package dev.gatun.bench;

import dev.gatun.ContextOptions;
import dev.gatun.GenerationOptions;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.LlamaSession;
import dev.gatun.PrefixCache;
import dev.gatun.PrefixCacheOptions;
import dev.gatun.rope.RopeScaling;
import dev.gatun.sampling.Sampler;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.Random;

/**
 * Outputs with and without the prefix cache: random prompts that share beginnings, each read and
 * answered in a context with the cache, among other open sessions, and in one without it.
 *
 * <p>{@code java ... dev.gatun.bench.PrefixIdentity MODEL TEXT [prompts [KIND [seed]]]}; KIND is
 * {@code one} (one sequence), {@code streams} (a pool of cells for each sequence), {@code
 * reproducible} or {@code rerope} (one pool, cells met by position), {@code unified} (one pool, and
 * a cache that is not exact), or {@code control} (one pool and no cache: what other open sessions
 * change by themselves). Ends with 1 when an answer differs.
 */
public final class PrefixIdentity {
  private static final int LONGEST = 1_600;
  private static final int SEQUENCES = 6;
  private static final GenerationOptions GREEDY =
      GenerationOptions.defaults().withSampler(Sampler.greedy()).withMaxTokens(16);

  private PrefixIdentity() {}

  /** Runs it. */
  public static void main(String[] args) throws IOException {
    int prompts = args.length > 2 ? Integer.parseInt(args[2]) : 500;
    String kind = args.length > 3 ? args[3] : "one";
    Random random = new Random(args.length > 4 ? Long.parseLong(args[4]) : 1);
    boolean control = kind.equals("control");
    PrefixCacheOptions tiers =
        PrefixCacheOptions.defaults().withExact(!kind.equals("unified") && !control);
    int sameAnswers = 0;
    int sameBits = 0;
    double difference = 0;
    try (LlamaModel model = LlamaModel.load(Path.of(args[0]));
        LlamaContext context = model.newContext(options(kind));
        LlamaContext without = model.newContext(options(kind));
        PrefixCache cache = context.newPrefixCache(tiers);
        LlamaSession alone = without.newSession()) {
      int[] text = model.tokenizer().encode(Files.readString(Path.of(args[1])));
      Deque<LlamaSession> open = new ArrayDeque<>();
      int most = kind.equals("one") ? 1 : SEQUENCES - 2;
      for (int i = 0; i < prompts; i++) {
        int[] prompt = prompt(text, random);
        if (open.size() == most) {
          open.removeFirst().close();
        }
        LlamaSession session = context.newSession();
        open.addLast(session);
        session.append(control ? prompt : cache.open(session, prompt).rest(prompt));
        alone.clear();
        alone.append(prompt);
        float[] expected = alone.logits().toArray(ValueLayout.JAVA_FLOAT);
        float[] actual = session.logits().toArray(ValueLayout.JAVA_FLOAT);
        sameBits += Arrays.equals(expected, actual) ? 1 : 0;
        for (int k = 0; k < actual.length; k++) {
          difference = Math.max(difference, Math.abs(expected[k] - actual[k]));
        }
        String answer = session.generate(GREEDY).text();
        sameAnswers += answer.equals(alone.generate(GREEDY).text()) ? 1 : 0;
        if (!control) {
          cache.store(session);
        }
      }
      open.forEach(LlamaSession::close);
      System.out.printf(
          "%s: %d of %d answers the same, %d of %d bit by bit, largest difference of a logit %s%n",
          kind, sameAnswers, prompts, sameBits, prompts, difference);
      System.out.printf(
          "hit rate %.3f, saved %.3f; %s%n",
          cache.stats().hitRate(), cache.stats().savedShare(), cache.stats());
    }
    if (sameAnswers < prompts) {
      System.exit(1);
    }
  }

  private static ContextOptions options(String kind) {
    int sequences = kind.equals("one") ? 1 : SEQUENCES;
    return ContextOptions.defaults()
        .withContextTokens(LONGEST * sequences)
        .withMaxSequences(sequences)
        .withUnifiedKv(!kind.equals("streams"))
        .withReproducible(kind.equals("reproducible"))
        .withRopeScaling(kind.equals("rerope") ? RopeScaling.rerope() : RopeScaling.yarn(8))
        .withThreads(1)
        .withBatchThreads(1);
  }

  /** One of a few beginnings, cut anywhere, then one of many ends. */
  private static int[] prompt(int[] text, Random random) {
    int topic = 1_500 * random.nextInt(4);
    int[] head = Arrays.copyOfRange(text, topic, topic + 30 + random.nextInt(1_100));
    int end = 8_000 + 20 * random.nextInt(400);
    int[] tail = Arrays.copyOfRange(text, end, end + 10 + random.nextInt(200));
    int[] prompt = Arrays.copyOf(head, head.length + tail.length);
    System.arraycopy(tail, 0, prompt, head.length, tail.length);
    return prompt;
  }
}
