package dev.gatun.chat;

import dev.gatun.error.ChatTemplateException;
import java.util.List;

/**
 * Turns a chat into the text that the model was trained on. The template is written in Jinja;
 * llama.cpp's own engine runs it.
 *
 * <p>Thread-safe; lives as long as its model, then every call throws {@link
 * dev.gatun.error.AlreadyClosedException}.
 */
public interface ChatTemplate {
  /** Returns the template's text. */
  String source();

  /**
   * Renders a chat.
   *
   * @throws ChatTemplateException if the template refuses the messages, such as a system message
   *     where it knows none
   */
  ChatPrompt render(ChatRequest request);

  /**
   * Renders a chat and returns the prompt's text.
   *
   * @param messages the chat so far, oldest first; at least one
   * @param addGenerationPrompt whether the text ends where the model's answer begins
   * @throws ChatTemplateException if the template refuses the messages
   */
  default String render(List<ChatMessage> messages, boolean addGenerationPrompt) {
    return render(ChatRequest.of(messages).withAddGenerationPrompt(addGenerationPrompt)).text();
  }
}
