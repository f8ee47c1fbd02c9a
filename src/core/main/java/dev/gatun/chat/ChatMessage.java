package dev.gatun.chat;

import java.util.Objects;

/**
 * One message of a chat. Immutable.
 *
 * @param role who wrote it
 * @param content its text
 */
public record ChatMessage(Role role, String content) {
  /** Checks that both are there. */
  public ChatMessage {
    Objects.requireNonNull(role, "role");
    Objects.requireNonNull(content, "content");
  }

  /** Returns a message with the rules of the conversation. */
  public static ChatMessage system(String content) {
    return new ChatMessage(Role.SYSTEM, content);
  }

  /** Returns a message of the person. */
  public static ChatMessage user(String content) {
    return new ChatMessage(Role.USER, content);
  }

  /** Returns a message of the model. */
  public static ChatMessage assistant(String content) {
    return new ChatMessage(Role.ASSISTANT, content);
  }
}
