package dev.gatun.cli;

import dev.gatun.GenerationOptions;
import dev.gatun.LlamaModel;
import dev.gatun.chat.ChatMessage;
import dev.gatun.chat.ChatPrompt;
import dev.gatun.chat.ChatRequest;
import java.util.ArrayList;
import java.util.List;

/**
 * What goes into a model.
 *
 * @param tokens the tokens, begin-of-sequence included
 * @param stops texts that end the answer, as the model's template knows them
 */
record Prompt(int[] tokens, List<String> stops) {
  /** Takes a text as it is. */
  static Prompt raw(LlamaModel model, String text) {
    return new Prompt(model.tokenizer().encode(text, true, true), List.of());
  }

  /**
   * Puts messages into the form that the model was trained on; without a template one after the
   * other.
   */
  static Prompt chat(LlamaModel model, List<ChatMessage> messages) {
    if (model.metadata().chatTemplate().isEmpty()) {
      StringBuilder plain = new StringBuilder();
      for (ChatMessage message : messages) {
        plain.append(plain.isEmpty() ? "" : "\n").append(message.content());
      }
      return raw(model, plain.toString());
    }
    ChatPrompt prompt =
        model.chatTemplate().render(ChatRequest.of(messages).withAddGenerationPrompt(true));
    return new Prompt(model.tokenizer().encode(prompt.text(), true, true), prompt.stops());
  }

  /** Adds the template's ends to those that the user gave. */
  GenerationOptions with(GenerationOptions options) {
    if (stops.isEmpty()) {
      return options;
    }
    List<String> all = new ArrayList<>(options.stops());
    all.addAll(stops);
    return options.withStops(all);
  }
}
