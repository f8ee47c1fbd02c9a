package dev.gatun.eval;

import dev.gatun.Cancellation;
import dev.gatun.GenerationOptions;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaSession;
import dev.gatun.SessionState;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.kv.EvictionOptions;
import dev.gatun.kv.EvictionPolicy;
import dev.gatun.sampling.Sampler;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Asks every question of one length, at every budget. */
final class EvictionAnswers extends EvictionRun {
  private final EvictionQuestions questions;
  private final RecallOptions options;

  EvictionAnswers(
      EvalConfiguration configuration,
      EvictionQuestions questions,
      int contextTokens,
      RecallOptions options,
      EvictionMode mode,
      Optional<EvictionPolicy> policy,
      List<Double> budgets) {
    super(configuration, contextTokens, mode, policy, budgets);
    this.questions = questions;
    this.options = options;
  }

  @Override
  String texts() {
    return questions.identity();
  }

  @Override
  long tokens() {
    return (long) options.trials() * contextTokens / budgets.size();
  }

  @Override
  double value(EvalPoint point) {
    return point.recall().orElseThrow().accuracy();
  }

  @Override
  List<EvalPoint> measure(LlamaContext context, Cancellation cancellation, EvalProgress progress) {
    GenerationOptions generation =
        GenerationOptions.defaults()
            .withSampler(Sampler.greedy())
            .withMaxTokens(options.answerTokens())
            .withStops(questions.frame().stops())
            .withCancellation(cancellation);
    int[] correct = new int[budgets.size()];
    long[] cells = new long[budgets.size()];
    long[] nanos = new long[budgets.size()];
    int asked = 0;
    try (LlamaSession session = context.newSession()) {
      for (EvictionQuestions.Question question : questions.all()) {
        long start = System.nanoTime();
        int read = mode == EvictionMode.KNOWN ? question.tokens().length : question.textTokens();
        session.clear();
        session.append(Arrays.copyOf(question.tokens(), read), cancellation, (done, total) -> {});
        SessionState state = session.save();
        long reading = System.nanoTime() - start;
        Optional<EvictionPolicy> looked = policy.map(Remembered::new);
        for (int i = 0; i < correct.length; i++) {
          start = System.nanoTime();
          if (i > 0) {
            session.restore(state);
          }
          cells[i] += evict(session, looked, question, i);
          int[] rest = Arrays.copyOfRange(question.tokens(), read, question.tokens().length);
          String answer = session.generate(rest, generation).text();
          if (cancellation.isCancelled()) {
            throw new OperationCancelledException("the evaluation was cancelled");
          }
          correct[i] += question.fact().isIn(answer) ? 1 : 0;
          nanos[i] += System.nanoTime() - start + reading / correct.length;
        }
        asked++;
        progress.onProgress(
            asked * tokens() / options.trials(), points(correct, cells, nanos, asked).getFirst());
      }
    }
    return points(correct, cells, nanos, asked);
  }

  /** Evicts; returns how many cells stayed. */
  private int evict(
      LlamaSession session,
      Optional<EvictionPolicy> looked,
      EvictionQuestions.Question question,
      int budget) {
    if (looked.isPresent()) {
      EvictionOptions how = options(session.size(), budget);
      session.evict(
          looked.get(),
          mode == EvictionMode.KNOWN ? how.withQuestionTokens(question.questionTokens()) : how);
    }
    return session.size();
  }

  private List<EvalPoint> points(int[] correct, long[] cells, long[] nanos, int asked) {
    List<EvalPoint> points = new ArrayList<>();
    for (int i = 0; i < correct.length; i++) {
      points.add(
          point(
              i,
              (double) cells[i] / asked,
              Optional.empty(),
              Optional.of(new RecallResult(correct[i], asked, asked)),
              nanos[i]));
    }
    return points;
  }
}
