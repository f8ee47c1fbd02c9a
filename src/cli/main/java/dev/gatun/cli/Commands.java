package dev.gatun.cli;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** The list of commands; each is created only when it is named. */
final class Commands {
  /** In the order in which help shows them. */
  static final List<String> NAMES =
      List.of(
          "run",
          "chat",
          "info",
          "plan",
          "tokenize",
          "devices",
          "doctor",
          "cache",
          "bench",
          "perplexity",
          "passkey",
          "needle",
          "stretch",
          "evict-eval",
          "rope-search",
          "stream",
          "memory-eval",
          "help",
          "generate-completion",
          "train-start");

  private Commands() {}

  static @Nullable Command named(String name) {
    return switch (name) {
      case "run" -> new RunCommand();
      case "chat" -> new ChatCommand();
      case "info" -> new InfoCommand();
      case "plan" -> new PlanCommand();
      case "tokenize" -> new TokenizeCommand();
      case "devices" -> new DevicesCommand();
      case "doctor" -> new DoctorCommand();
      case "cache" -> new CacheCommand();
      case "bench" -> new BenchCommand();
      case "perplexity" -> new PerplexityCommand();
      case "passkey" -> new PasskeyCommand();
      case "needle" -> new NeedleCommand();
      case "stretch" -> new StretchCommand();
      case "evict-eval" -> new EvictEvalCommand();
      case "rope-search" -> new RopeSearchCommand();
      case "stream" -> new StreamCommand();
      case "memory-eval" -> new MemoryEvalCommand();
      case "help" -> new HelpCommand();
      case "generate-completion" -> new CompletionCommand();
      case "train-start" -> new TrainCommand();
      default -> null;
    };
  }
}
