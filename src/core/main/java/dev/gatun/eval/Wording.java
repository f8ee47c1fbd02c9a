package dev.gatun.eval;

/**
 * How a pass key is put. Immutable.
 *
 * @param sentence what stands in the text; {@code {name}} and {@code {key}} are filled in
 * @param question what is asked; {@code {name}} is filled in
 */
public record Wording(String sentence, String question) {
  private static final String NAME = "{name}";
  private static final String KEY = "{key}";

  /** Checks that the key is in the sentence. */
  public Wording {
    if (!sentence.contains(KEY)) {
      throw new IllegalArgumentException("the sentence must say where the {key} goes: " + sentence);
    }
    if (question.isBlank()) {
      throw new IllegalArgumentException("the question must not be empty");
    }
  }

  /** Returns the words that the built-in model was trained with. */
  public static Wording defaults() {
    return new Wording(
        "The pass key of {name} is {key}. Remember it.", "What is the pass key of {name}?");
  }

  String sentence(String name, String key) {
    return sentence.replace(NAME, name).replace(KEY, key);
  }

  String question(String name) {
    return question.replace(NAME, name);
  }
}
