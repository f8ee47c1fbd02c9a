package dev.gatun;

import dev.gatun.internal.NativeVocabulary;
import dev.gatun.internal.TokenPiece;
import dev.gatun.internal.Utf8Assembler;

/**
 * Turns tokens into text one by one. The bytes of a character that is spread over several tokens
 * are held back until it is complete, so every returned text is whole. All texts one after the
 * other are exactly what decoding all bytes at once gives.
 *
 * <p>The tokens continue a text: a leading space is kept. Made by {@link
 * Tokenizer#newStreamDecoder(boolean)}; lives as long as the model.
 */
@ThreadConfined("one thread at a time; a second one would mix up the texts")
public final class StreamDecoder {
  private final NativeVocabulary vocabulary;
  private final boolean special;
  private final Utf8Assembler assembler = new Utf8Assembler();

  StreamDecoder(NativeVocabulary vocabulary, boolean special) {
    this.vocabulary = vocabulary;
    this.special = special;
  }

  /**
   * Returns the text that is certain after one more token; empty while a character is incomplete.
   * Allocates nothing when the token is whole text, once it was seen.
   *
   * @throws IndexOutOfBoundsException if {@code token} is not in the vocabulary
   */
  public String next(int token) {
    TokenPiece piece = vocabulary.piece(token);
    if (piece.isHidden() && !special) {
      return "";
    }
    String text = piece.text();
    return text != null && !assembler.isPending() ? text : assembler.append(piece.bytes());
  }

  /** Returns what an incomplete character at the end becomes, mostly nothing, and starts anew. */
  public String finish() {
    return assembler.finish();
  }
}
