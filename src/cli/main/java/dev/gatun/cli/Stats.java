package dev.gatun.cli;

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

  static double seconds(Duration time) {
    return time.toNanos() / 1e9;
  }
}
