package dev.gatun.cli;

import dev.gatun.LlamaContext;
import dev.gatun.LlamaSession;
import dev.gatun.SessionOptions;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.kv.EvictionPolicy;
import dev.gatun.kv.OverflowPolicy;
import java.util.OptionalInt;

/** The flags that say what happens when the cells run out. */
final class OverflowFlags {
  private static final String NAMES =
      "fail, shift[:KEEP], streaming[:SINKS[/DROP]], evict[:POLICY]";

  private SessionOptions options;

  OverflowFlags(OverflowPolicy otherwise) {
    options = SessionOptions.defaults().withOverflow(otherwise);
  }

  void declare(OptionTable table) {
    table
        .group("Memory of the text:")
        .value(
            "--overflow",
            "POLICY",
            "When the cells run out: " + NAMES + " (" + options.overflow().describe() + ").",
            v -> options = options.withOverflow(parse(v)))
        .value(
            "--evict",
            "POLICY",
            "As --overflow evict:POLICY: snapkv, h2o, tova, keynorm, keydiff, sentences and more"
                + " (see evict-eval).",
            v -> options = options.withOverflow(evict("--evict", v)))
        .value(
            "--kv-budget",
            "N",
            "Most cells that the text may use (all of the context).",
            v -> options = options.withBudgetTokens(Values.whole("--kv-budget", v, 8, 1 << 30)));
  }

  /**
   * Returns how many tokens of a text have to be in the context at once.
   *
   * @param tokens tokens of the text
   * @param contextTokens the context that was asked for, if one was
   */
  int atOnce(int tokens, OptionalInt contextTokens) {
    if (options.overflow() instanceof OverflowPolicy.Fail) {
      return tokens;
    }
    int cells = options.budgetTokens().orElse(contextTokens.orElse(Integer.MAX_VALUE));
    return Math.min(tokens, cells - 1);
  }

  /**
   * Opens a session.
   *
   * @param what what the flags say, and more
   * @throws CliException if the model does not allow what they say
   */
  static LlamaSession newSession(LlamaContext context, SessionOptions what) {
    try {
      return context.newSession(what);
    } catch (UnsupportedOperationForModelException e) {
      if (what.overflow() instanceof OverflowPolicy.Fail) {
        throw e;
      }
      boolean window = context.model().slidingWindowTokens() > 0;
      throw CliException.usage(
          "--overflow "
              + what.overflow().describe()
              + ": "
              + e.getMessage()
              + "; on the command line: "
              + (window ? "--swa-full, or " : "")
              + "--overflow fail, which drops nothing");
    }
  }

  /** What the flags say. */
  SessionOptions options() {
    return options;
  }

  static OverflowPolicy parse(String text) {
    String[] parts = text.split(":", 2);
    String numbers = parts.length > 1 ? parts[1] : "";
    try {
      return switch (parts[0]) {
        case "fail" -> plain(numbers, OverflowPolicy.fail());
        case "shift" -> OverflowPolicy.shift(numbers.isEmpty() ? 4 : Integer.parseInt(numbers));
        case "streaming" -> streaming(numbers);
        case "evict" -> evict("--overflow evict", numbers.isEmpty() ? "sentences" : numbers);
        default -> throw unknown(text);
      };
    } catch (NumberFormatException e) {
      throw unknown(text);
    } catch (IllegalArgumentException e) {
      throw CliException.usage("--overflow " + text + ": " + e.getMessage());
    }
  }

  private static OverflowPolicy evict(String flag, String policy) {
    try {
      return OverflowPolicy.evict(EvictionPolicy.parse(policy));
    } catch (IllegalArgumentException e) {
      throw CliException.usage(flag + ": " + e.getMessage());
    }
  }

  private static OverflowPolicy plain(String numbers, OverflowPolicy policy) {
    if (!numbers.isEmpty()) {
      throw unknown(policy.describe() + ":" + numbers);
    }
    return policy;
  }

  private static OverflowPolicy streaming(String numbers) {
    OverflowPolicy.Streaming usual = (OverflowPolicy.Streaming) OverflowPolicy.streaming();
    if (numbers.isEmpty()) {
      return usual;
    }
    String[] two = numbers.split("/", 2);
    return new OverflowPolicy.Streaming(
        Integer.parseInt(two[0]),
        two.length > 1 ? Integer.parseInt(two[1]) : 0,
        usual.rebaseAfter());
  }

  private static CliException unknown(String text) {
    return CliException.usage("--overflow must be one of " + NAMES + ", not '" + text + "'");
  }
}
