package dev.gatun.cli;

import dev.gatun.ChunkDivergence;
import dev.gatun.ChunkReport;
import dev.gatun.StopReason;
import dev.gatun.TokenUsage;
import java.time.Duration;
import java.util.Locale;

/** What an answer cost, in one line. */
final class Stats {
  private Stats() {}

  static String line(TokenUsage usage, StopReason reason) {
    return String.format(
        Locale.ROOT,
        "prompt %,d tokens (%,d cached) in %.3f s, %.1f tokens/s; answer %,d tokens in %.3f s,"
            + " %.1f tokens/s; ended by %s",
        usage.promptTokens(),
        usage.cachedTokens(),
        seconds(usage.promptTime()),
        usage.promptTokensPerSecond(),
        usage.completionTokens(),
        seconds(usage.generationTime()),
        usage.completionTokensPerSecond(),
        reason.name().toLowerCase(Locale.ROOT).replace('_', ' '));
  }

  static String line(ChunkFlags.Summary summary) {
    ChunkReport report = summary.assembly();
    return String.format(
        Locale.ROOT,
        "%,d of %,d chunks read in %.3f s; put together in %.3f s: %,d tokens reused, %,d read"
            + " again",
        summary.read(),
        summary.documents(),
        seconds(summary.reading()),
        seconds(report.total()),
        report.reusedTokens(),
        report.recomputedTokens());
  }

  static String line(ChunkDivergence divergence) {
    return String.format(
        Locale.ROOT,
        "chunks against a full reading, over %,d tokens of question and answer: KL %.4f on average,"
            + " %.4f at most; %,d times the same most probable token",
        divergence.positions(),
        divergence.mean(),
        divergence.largest(),
        divergence.sameChoice());
  }

  static double seconds(Duration time) {
    return time.toNanos() / 1e9;
  }
}
