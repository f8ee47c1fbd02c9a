package dev.gatun.internal;

import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/** What a token stands for. Immutable; safe to publish by a race, as its fields are final. */
public final class TokenPiece {
  private final byte[] bytes;
  private final @Nullable String text;
  private final boolean hidden;
  private final boolean atomic;

  TokenPiece(byte[] bytes, boolean hidden, boolean atomic) {
    this.bytes = bytes;
    this.text =
        Utf8Assembler.incompleteSuffix(bytes) == 0
            ? new String(bytes, StandardCharsets.UTF_8)
            : null;
    this.hidden = hidden;
    this.atomic = atomic;
  }

  /** Returns the bytes; callers do not change them. */
  public byte[] bytes() {
    return bytes;
  }

  /** Returns the bytes as text; {@code null} when they end inside a character. */
  public @Nullable String text() {
    return text;
  }

  /** Tells whether the token is a mark, not text: control and unknown tokens. */
  public boolean isHidden() {
    return hidden;
  }

  /**
   * Tells whether the tokenizer cuts the text at this token: control, unknown and user-defined
   * tokens.
   */
  public boolean isAtomic() {
    return atomic;
  }
}
