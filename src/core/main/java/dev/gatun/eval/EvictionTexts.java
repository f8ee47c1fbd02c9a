package dev.gatun.eval;

import dev.gatun.Cancellation;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaSession;
import dev.gatun.SessionState;
import dev.gatun.kv.EvictionPolicy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Measures the perplexity of the second half of windows after the first half was evicted from. */
final class EvictionTexts extends EvictionRun {
  private final int[] tokens;
  private final int windows;

  EvictionTexts(
      EvalConfiguration configuration,
      String text,
      int contextTokens,
      int windows,
      Optional<EvictionPolicy> policy,
      List<Double> budgets) {
    super(configuration, contextTokens, EvictionMode.TEXT, policy, budgets);
    this.tokens = Perplexity.tokens(configuration.model(), text);
    if (tokens.length < contextTokens) {
      throw new IllegalArgumentException(
          "the text has %,d tokens, too few for a window of %,d; give a longer text or a shorter length"
              .formatted(tokens.length, contextTokens));
    }
    this.windows = Math.min(windows, tokens.length / contextTokens);
  }

  @Override
  String texts() {
    return configuration.identity(contextTokens)
        + ' '
        + windows
        + " windows of "
        + EvalLog.digest(tokens);
  }

  @Override
  long tokens() {
    return (long) windows * contextTokens / budgets.size();
  }

  @Override
  double value(EvalPoint point) {
    return point.perplexity().orElseThrow().perplexity();
  }

  @Override
  List<EvalPoint> measure(LlamaContext context, Cancellation cancellation, EvalProgress progress) {
    int vocabulary = configuration.model().vocabularySize();
    List<Scores> scores = new ArrayList<>();
    budgets.forEach(_ -> scores.add(new Scores(vocabulary, contextTokens, 0, false)));
    long[] cells = new long[budgets.size()];
    long[] nanos = new long[budgets.size()];
    int half = contextTokens / 2;
    try (LlamaSession session = context.newSession()) {
      for (int w = 0; w < windows; w++) {
        int[] window =
            Arrays.copyOfRange(tokens, w * contextTokens, w * contextTokens + contextTokens);
        if (configuration.model().tokenizer().addsBos()) {
          window[0] = configuration.model().tokenizer().bos().orElse(window[0]);
        }
        session.clear();
        session.append(Arrays.copyOf(window, half), cancellation, (done, total) -> {});
        SessionState state = session.save();
        Optional<EvictionPolicy> looked = policy.map(Remembered::new);
        for (int i = 0; i < nanos.length; i++) {
          long start = System.nanoTime();
          if (i > 0) {
            session.restore(state);
          }
          if (looked.isPresent()) {
            session.evict(looked.get(), options(session.size(), i));
          }
          cells[i] += session.size();
          Scores sum = scores.get(i);
          int[] next = {half + 1};
          session.evaluate(
              Arrays.copyOfRange(window, half, contextTokens - 1),
              cancellation,
              (_, logits) -> {
                sum.add(logits, next[0], window[next[0]]);
                next[0]++;
              });
          nanos[i] += System.nanoTime() - start;
        }
        progress.onProgress(
            (w + 1) * tokens() / windows, points(scores, cells, nanos, w + 1).getFirst());
      }
    }
    return points(scores, cells, nanos, windows);
  }

  private List<EvalPoint> points(List<Scores> scores, long[] cells, long[] nanos, int done) {
    List<EvalPoint> points = new ArrayList<>();
    for (int i = 0; i < nanos.length; i++) {
      points.add(
          point(
              i,
              (double) cells[i] / done,
              Optional.of(scores.get(i).result(done)),
              Optional.empty(),
              nanos[i]));
    }
    return points;
  }
}
