package dev.gatun.eval;

import dev.gatun.LlamaModel;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.RopeSpec;
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
   * Returns the scaling that a {@link RopeSpec} names; a factor that it leaves open is length /
   * trained length.
   *
   * @throws IllegalArgumentException if it names none
   */
  static ContextScaling parse(String text) {
    RopeSpec spec = RopeSpec.parse(text);
    return of(
        text,
        (model, tokens) ->
            spec.at(Math.max(1, (double) tokens / Math.max(1, model.trainedContextTokens()))));
  }
}
