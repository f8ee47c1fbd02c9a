package dev.gatun.eval;

import dev.gatun.Cancellation;
import dev.gatun.GenerationOptions;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.LlamaSession;
import dev.gatun.RetrievalAnswer;
import dev.gatun.RetrievalMemory;
import dev.gatun.RetrievalOptions;
import dev.gatun.Tokenizer;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.internal.HostMemory;
import dev.gatun.sampling.Sampler;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.OptionalLong;
import java.util.SplittableRandom;
import java.util.function.Consumer;

/**
 * Hides facts in a text of any length, has a {@link RetrievalMemory} read it and asks for each of
 * them. The text is made of the sentences of some prose in random order, again and again until it
 * is long enough; each fact stands in it once. Answers are greedy.
 *
 * <p>One thread.
 */
public final class MemoryRun {
  private static final int ANSWER_TOKENS = 24;
  private static final int APPEND_TOKENS = 2048;

  private final LlamaContext context;
  private final String prose;
  private final int tokens;
  private final int needles;
  private final long seed;

  private MemoryRun(LlamaContext context, String prose, int tokens, int needles, long seed) {
    this.context = context;
    this.prose = prose;
    this.tokens = tokens;
    this.needles = needles;
    this.seed = seed;
  }

  /** The most facts that can be hidden. */
  public static int mostNeedles() {
    return Facts.MOST_DISTINCT;
  }

  /**
   * Returns a run.
   *
   * @param context has two sequences to spare
   * @param prose sentences to hide facts between
   * @param tokens least length of the text
   * @param needles facts, 1 to {@link #mostNeedles()}
   * @param seed where chance comes from
   */
  public static MemoryRun of(
      LlamaContext context, String prose, int tokens, int needles, long seed) {
    if (needles < 1 || needles > Facts.MOST_DISTINCT) {
      throw new IllegalArgumentException(
          "the number of facts must be from 1 to %d, but is %d"
              .formatted(Facts.MOST_DISTINCT, needles));
    }
    if (tokens < 1) {
      throw new IllegalArgumentException("the text must have a token, but has " + tokens);
    }
    return new MemoryRun(context, prose, tokens, needles, seed);
  }

  /** What is told while it runs. */
  public interface Listener {
    /** Tells how much of the text was read. */
    void onRead(int done, int total);

    /** Tells of an answer. */
    void onAnswer(MemoryAnswer answer);
  }

  /**
   * Reads the text and asks.
   *
   * @param options of the memory
   * @throws OperationCancelledException if it was cancelled
   */
  public MemoryResult run(RetrievalOptions options, Cancellation cancellation, Listener listener) {
    LlamaModel model = context.model();
    Tokenizer tokenizer = model.tokenizer();
    QuestionFormat.Frame frame = QuestionFormat.AUTO.frame(model);
    int[] prefix = tokenizer.encode(frame.before(), true, true);
    SplittableRandom random = new SplittableRandom(seed);
    List<Fact> facts = Facts.drawDistinct(needles, random);
    OptionalLong before = HostMemory.residentBytes();
    try (RetrievalMemory memory = RetrievalMemory.over(context, prefix, options);
        LlamaSession session = context.newSession()) {
      long began = System.nanoTime();
      int[] places =
          write(
              facts,
              random,
              part -> {
                memory.append(part, cancellation);
                listener.onRead(Math.min(memory.tokens(), tokens), tokens);
              });
      memory.flush();
      Duration reading = Duration.ofNanos(System.nanoTime() - began);
      List<MemoryAnswer> answers = new ArrayList<>();
      for (int i = 0; i < facts.size(); i++) {
        MemoryAnswer answer = ask(memory, session, frame, facts.get(i), places[i], cancellation);
        answers.add(answer);
        listener.onAnswer(answer);
      }
      OptionalLong after = HostMemory.residentBytes();
      return new MemoryResult(
          memory.tokens(),
          memory.pages(),
          answers,
          reading,
          memory.residentCells(),
          memory.memoryBytes(),
          memory.fileBytes(),
          memory.keyBytes(),
          before.isPresent() && after.isPresent()
              ? OptionalLong.of(after.getAsLong() - before.getAsLong())
              : OptionalLong.empty());
    }
  }

  private MemoryAnswer ask(
      RetrievalMemory memory,
      LlamaSession session,
      QuestionFormat.Frame frame,
      Fact fact,
      int place,
      Cancellation cancellation) {
    Tokenizer tokenizer = context.model().tokenizer();
    int[] question = tokenizer.encode("\n" + fact.question() + frame.after(), false, true);
    RetrievalAnswer found =
        memory.ask(
            session,
            question,
            GenerationOptions.defaults()
                .withSampler(Sampler.greedy())
                .withMaxTokens(ANSWER_TOKENS)
                .withStops(frame.stops())
                .withCancellation(cancellation));
    return new MemoryAnswer(
        fact.question(),
        fact.answer(),
        found.text(),
        fact.isIn(found.text()),
        found.report().recalled().stream().anyMatch(r -> r.from() <= place && place < r.to()),
        place,
        found);
  }

  /** Writes the text; returns the number of the first token of each fact. */
  private int[] write(List<Fact> facts, SplittableRandom random, Consumer<int[]> out) {
    Tokenizer tokenizer = context.model().tokenizer();
    List<String> sentences = sentences();
    int[] targets = random.ints(facts.size(), 0, tokens).sorted().toArray();
    List<Integer> order = new ArrayList<>();
    for (int i = 0; i < facts.size(); i++) {
      order.add(i);
    }
    Collections.shuffle(order, random);
    int[] places = new int[facts.size()];
    int[] part = new int[APPEND_TOKENS];
    int inPart = 0;
    int written = 0;
    int hidden = 0;
    for (int next = 0; written < tokens || hidden < facts.size(); ) {
      String sentence;
      if (hidden < facts.size() && (written >= targets[hidden] || written >= tokens)) {
        int fact = order.get(hidden++);
        sentence = facts.get(fact).sentence();
        places[fact] = written;
      } else {
        if (next % sentences.size() == 0) {
          Collections.shuffle(sentences, random);
        }
        sentence = sentences.get(next++ % sentences.size());
      }
      for (int token : tokenizer.encode((written == 0 ? "" : " ") + sentence, false, false)) {
        part[inPart++] = token;
        written++;
        if (inPart == part.length) {
          out.accept(part.clone());
          inPart = 0;
        }
      }
    }
    out.accept(Arrays.copyOf(part, inPart));
    return places;
  }

  private List<String> sentences() {
    List<String> sentences = new ArrayList<>();
    int from = 0;
    for (int end : Haystack.sentenceEnds(prose)) {
      sentences.add(prose.substring(from, end).strip().replaceAll("\\s+", " "));
      from = end;
    }
    sentences.removeIf(String::isEmpty);
    if (sentences.isEmpty()) {
      throw new IllegalArgumentException(
          "the text has no sentences to hide facts between; give a longer text");
    }
    return sentences;
  }
}
