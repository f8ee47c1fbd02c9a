package dev.gatun.chat;

import java.util.List;

/**
 * What a template is to render. Immutable; start from {@link #of(List)}.
 *
 * @param messages the chat so far, oldest first; at least one
 * @param addGenerationPrompt whether the text ends where the model's answer begins
 * @param thinking whether a model that can think aloud before it answers should; others take no
 *     notice
 */
public record ChatRequest(
    List<ChatMessage> messages, boolean addGenerationPrompt, boolean thinking) {
  /** Copies the list and checks that it is not empty. */
  public ChatRequest {
    messages = List.copyOf(messages);
    if (messages.isEmpty()) {
      throw new IllegalArgumentException("a chat needs at least one message");
    }
  }

  /** Returns a request for the model's next answer to the messages, with thinking. */
  public static ChatRequest of(List<ChatMessage> messages) {
    return new ChatRequest(messages, true, true);
  }

  /** Returns a copy with another {@link #addGenerationPrompt()}. */
  public ChatRequest withAddGenerationPrompt(boolean value) {
    return new ChatRequest(messages, value, thinking);
  }

  /** Returns a copy with another {@link #thinking()}. */
  public ChatRequest withThinking(boolean value) {
    return new ChatRequest(messages, addGenerationPrompt, value);
  }
}
