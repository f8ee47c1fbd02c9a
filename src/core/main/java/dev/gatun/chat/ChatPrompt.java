package dev.gatun.chat;

import java.util.List;

/**
 * A rendered chat. Immutable.
 *
 * @param text the prompt; tokenize it with special tokens parsed. It does not hold the beginning
 *     token that the tokenizer adds
 * @param stops texts that end the answer besides the model's end-of-generation tokens
 * @param generationPrompt the end of {@code text} that begins the answer, such as {@code
 *     <|assistant|>\n}; empty when none was asked for
 */
public record ChatPrompt(String text, List<String> stops, String generationPrompt) {
  /** Copies the list. */
  public ChatPrompt {
    stops = List.copyOf(stops);
  }
}
