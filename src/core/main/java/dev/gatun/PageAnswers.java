package dev.gatun;

import java.time.Duration;
import java.util.Arrays;
import java.util.List;

/** Answers a question from more and from fewer pages, and takes the most probable answer. */
final class PageAnswers {
  private final PageReader reader;
  private final RetrievalOptions options;
  private final LlamaSession session;
  private final int[] question;
  private final GenerationOptions generation;
  private long placing;
  private long answering;

  /**
   * An answer.
   *
   * @param pages what it was read from
   * @param tokens everything that was generated
   * @param logProbability of the tokens together
   */
  private record Attempt(List<Integer> pages, String text, int[] tokens, double logProbability) {
    /** An answer that says nothing is sure of itself, and the last choice. */
    boolean isBetterThan(Attempt other) {
      return text.isBlank() == other.text.isBlank()
          ? logProbability > other.logProbability
          : other.text.isBlank();
    }
  }

  PageAnswers(
      PageReader reader,
      RetrievalOptions options,
      LlamaSession session,
      int[] question,
      GenerationOptions generation) {
    this.reader = reader;
    this.options = options;
    this.session = session;
    this.question = question;
    this.generation =
        generation.logProbabilities().isPresent() ? generation : generation.withLogProbabilities(0);
  }

  /** Searches and answers. The session then holds the answer that is returned. */
  RetrievalAnswer best(PageSearch search) {
    int[] ranked = search.find();
    int most = options.recallTokens();
    Attempt best = attempt(search.chosen(ranked, most));
    Attempt last = best;
    int attempts = 1;
    for (int i = 1; i < options.attempts() && most >> i > 0; i++) {
      List<Integer> pages = search.chosen(ranked, most >> i);
      if (!pages.equals(last.pages())) {
        last = attempt(pages);
        attempts++;
        best = last.isBetterThan(best) ? last : best;
      }
    }
    if (last != best) {
      bring(best.pages());
      long began = System.nanoTime();
      session.append(question);
      session.append(best.tokens());
      answering += System.nanoTime() - began;
    }
    return new RetrievalAnswer(
        best.text(),
        best.logProbability(),
        attempts,
        search.report(best.pages(), placing),
        Duration.ofNanos(answering));
  }

  private void bring(List<Integer> pages) {
    long began = System.nanoTime();
    reader.bring(session, pages);
    placing += System.nanoTime() - began;
  }

  private Attempt attempt(List<Integer> pages) {
    bring(pages);
    long began = System.nanoTime();
    int end = session.size() + question.length;
    int limit = Math.clamp(reader.most(session) - end, 1, generation.maxTokens());
    StringBuilder answer = new StringBuilder();
    double sum = 0;
    try (Generation pieces = session.generate(question, generation.withMaxTokens(limit))) {
      for (Piece piece : pieces) {
        answer.append(piece.text());
        sum += piece.logProbability().orElse(0);
      }
    }
    PageReader.requireNotCancelled(generation.cancellation());
    reader.noteResident(session.size());
    answering += System.nanoTime() - began;
    int[] tokens = Arrays.copyOfRange(session.tokens(), end, session.size());
    return new Attempt(pages, answer.toString(), tokens, sum);
  }
}
