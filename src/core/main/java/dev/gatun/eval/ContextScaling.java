package dev.gatun.eval;

import dev.gatun.LlamaModel;
import dev.gatun.rope.RopeScaling;
import java.util.function.BiFunction;

/** A way to scale positions that follows from the length of the context. */
public interface ContextScaling {
  /** Returns its name in tables, files and charts, such as {@code yarn}. */
  String label();

  /**
   * Returns the scaling for a length.
   *
   * @param model the model
   * @param contextTokens length of the context in tokens
   */
  RopeScaling at(LlamaModel model, int contextTokens);

  /** Returns what the model file asks for, at every length. */
  static ContextScaling modelDefault() {
    return of("model", (_, _) -> RopeScaling.modelDefault());
  }

  /**
   * Returns a scaling with a name.
   *
   * @param label the name
   * @param function from model and length in tokens to the scaling
   */
  static ContextScaling of(String label, BiFunction<LlamaModel, Integer, RopeScaling> function) {
    return new ContextScaling() {
      @Override
      public String label() {
        return label;
      }

      @Override
      public RopeScaling at(LlamaModel model, int contextTokens) {
        return function.apply(model, contextTokens);
      }

      @Override
      public String toString() {
        return label;
      }
    };
  }

  /**
   * Returns the scaling that a text names: {@code model}, {@code none}, {@code linear} or {@code
   * yarn}; the last two stretch by length / trained length, or by a fixed factor as in {@code
   * yarn:8}.
   *
   * @throws IllegalArgumentException if it names none
   */
  static ContextScaling parse(String text) {
    if (text.equals("model")) {
      return modelDefault();
    }
    if (text.equals("none")) {
      return of(text, (_, _) -> RopeScaling.none());
    }
    int colon = text.indexOf(':');
    String name = colon < 0 ? text : text.substring(0, colon);
    double fixed = colon < 0 ? 0 : factor(text, text.substring(colon + 1));
    return switch (name) {
      case "linear" ->
          of(text, (model, tokens) -> RopeScaling.linear(factor(fixed, model, tokens)));
      case "yarn" -> of(text, (model, tokens) -> RopeScaling.yarn(factor(fixed, model, tokens)));
      default -> throw unknown(text);
    };
  }

  private static double factor(double fixed, LlamaModel model, int tokens) {
    int trained = Math.max(1, model.trainedContextTokens());
    return fixed > 0 ? fixed : Math.max(1, (double) tokens / trained);
  }

  private static double factor(String text, String number) {
    try {
      double factor = Double.parseDouble(number);
      if (factor >= 1 && Double.isFinite(factor)) {
        return factor;
      }
    } catch (NumberFormatException e) {
      throw unknown(text);
    }
    throw new IllegalArgumentException(
        "the factor of '" + text + "' must be a number of at least 1");
  }

  private static IllegalArgumentException unknown(String text) {
    return new IllegalArgumentException(
        "no RoPE method is called '%s'; use model, none, linear or yarn, the last two with a factor if you like, as in yarn:8"
            .formatted(text));
  }
}
