package dev.gatun.bench;

import dev.gatun.Cancellation;
import dev.gatun.ContextOptions;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.LlamaSession;
import dev.gatun.SessionState;
import dev.gatun.gguf.SyntheticModel;
import dev.gatun.kv.StateFacts;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Random;

/**
 * Restoring a session from a file against reading its text again: reads so many random tokens,
 * saves them to a file, restores the file into a new context, and compares the logits of the next
 * tokens bit for bit. Prints one JSON object.
 *
 * <p>{@code java ... dev.gatun.bench.RestoreBench MODEL TOKENS [THREADS [FILE]]}; MODEL is a GGUF
 * file, or {@code SHAPE:TOKENIZER.gguf} for random weights in one of {@link SyntheticModel}'s
 * shapes.
 */
public final class RestoreBench {
  private static final int NEXT = 8;
  private static final int RESTORES = 5;

  private RestoreBench() {}

  /** Runs the measurement. */
  public static void main(String[] args) throws IOException {
    int tokens = Integer.parseInt(args[1]);
    int threads =
        args.length > 2 ? Integer.parseInt(args[2]) : Runtime.getRuntime().availableProcessors();
    Path state = args.length > 3 ? Path.of(args[3]) : Files.createTempFile("restore", ".gkv");
    ContextOptions options =
        ContextOptions.defaults()
            .withContextTokens(tokens + NEXT + 16)
            .withThreads(threads)
            .withBatchThreads(threads);
    try (LlamaModel model = LlamaModel.load(model(args[0]))) {
      float[][] expected = new float[NEXT][];
      double read;
      double saved;
      StateFacts facts;
      try (LlamaContext context = model.newContext(options);
          LlamaSession session = context.newSession()) {
        int[] text = new Random(1).ints(tokens, 300, model.vocabularySize() - 300).toArray();
        long began = System.nanoTime();
        session.append(
            text,
            Cancellation.never(),
            (done, total) ->
                System.err.printf(Locale.ROOT, "read %,d of %,d tokens%n", done, total));
        read = seconds(began);
        began = System.nanoTime();
        facts = session.save().write(state);
        saved = seconds(began);
        next(session, expected);
      }
      double[] restored = new double[RESTORES];
      double[] first = new double[RESTORES];
      boolean equal = true;
      for (int i = 0; i < RESTORES; i++) {
        try (LlamaContext context = model.newContext(options);
            LlamaSession session = context.newSession()) {
          long began = System.nanoTime();
          session.restore(SessionState.read(state));
          restored[i] = seconds(began);
          float[][] actual = new float[NEXT][];
          began = System.nanoTime();
          session.append(next(0));
          first[i] = seconds(began);
          actual[0] = session.logits().toArray(ValueLayout.JAVA_FLOAT);
          rest(session, actual);
          equal &= Arrays.deepEquals(expected, actual);
        }
      }
      double coldest = restored[0];
      Arrays.sort(restored);
      Arrays.sort(first);
      double median = restored[RESTORES / 2];
      System.out.printf(
          Locale.ROOT,
          "{\"model\":\"%s\",\"tokens\":%d,\"threads\":%d,\"fileBytes\":%d,\"readSeconds\":%.3f,"
              + "\"saveSeconds\":%.3f,\"restoreSeconds\":%.4f,\"firstRestoreSeconds\":%.4f,"
              + "\"nextTokenSeconds\":%.4f,\"restoreBytesPerSecond\":%.0f,\"ratio\":%.0f,"
              + "\"ratioWithNextToken\":%.0f,\"logitsEqual\":%b}%n",
          args[0],
          tokens,
          threads,
          facts.fileBytes(),
          read,
          saved,
          median,
          coldest,
          first[RESTORES / 2],
          facts.fileBytes() / median,
          read / median,
          read / (median + first[RESTORES / 2]),
          equal);
      if (args.length <= 3) {
        Files.delete(state);
      }
      if (!equal) {
        System.exit(1);
      }
    }
  }

  private static Path model(String argument) throws IOException {
    int colon = argument.indexOf(':');
    if (colon < 0) {
      return Path.of(argument);
    }
    Path file = Files.createTempFile("restore", ".gguf");
    file.toFile().deleteOnExit();
    SyntheticModel.write(
        SyntheticModel.Shape.named(argument.substring(0, colon)),
        Path.of(argument.substring(colon + 1)),
        file,
        1);
    return file;
  }

  private static int next(int index) {
    return 400 + index;
  }

  private static void next(LlamaSession session, float[][] logits) {
    session.append(next(0));
    logits[0] = session.logits().toArray(ValueLayout.JAVA_FLOAT);
    rest(session, logits);
  }

  private static void rest(LlamaSession session, float[][] logits) {
    for (int i = 1; i < NEXT; i++) {
      session.append(next(i));
      logits[i] = session.logits().toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  private static double seconds(long began) {
    return (System.nanoTime() - began) / 1e9;
  }
}
