package dev.gatun.chat;

import java.util.Locale;

/** Who wrote a message. */
public enum Role {
  /** The rules of the conversation. */
  SYSTEM,
  /** The person. */
  USER,
  /** The model. */
  ASSISTANT,
  /** A tool's answer to the model. */
  TOOL;

  /**
   * Returns the name that templates know: {@code system}, {@code user}, {@code assistant}, {@code
   * tool}.
   */
  public String wireName() {
    return name().toLowerCase(Locale.ROOT);
  }
}
