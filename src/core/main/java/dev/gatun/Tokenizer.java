package dev.gatun;

import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.internal.NativeModel;
import dev.gatun.internal.NativeVocabulary;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/**
 * A model's vocabulary: text to token ids and back. Lives as long as its model.
 *
 * <p><b>Round trip.</b> For vocabularies of bytes (SentencePiece with byte fallback, byte-level
 * BPE) {@code decodeBytes(encode(text))} is exactly the text's UTF-8. Many SentencePiece
 * vocabularies put a space before a text, and behind each special token in it; decoding takes
 * exactly that space off again. Three things are lost because the vocabulary cannot say them: a
 * SentencePiece vocabulary reads U+2581 as a space; some special tokens swallow the white space
 * around them; WordPiece and Unigram vocabularies normalise the text.
 *
 * <p><b>Invalid text.</b> A lone surrogate in a {@link String} is read as {@code ?}, as {@link
 * String#getBytes(java.nio.charset.Charset)} does; bytes that are not UTF-8 are shown as U+FFFD, as
 * {@link String#String(byte[], java.nio.charset.Charset)} does.
 *
 * <p>Every method throws {@link dev.gatun.error.AlreadyClosedException} when the model is closed
 * and the answer is not known yet, and {@link UnsupportedOperationForModelException} for a model
 * without a vocabulary. A token id that is not below {@link #size()} throws {@link
 * IndexOutOfBoundsException}.
 */
@ThreadSafe
public final class Tokenizer {
  private final NativeVocabulary vocabulary;

  Tokenizer(NativeModel model) {
    vocabulary = model.vocabulary();
  }

  NativeVocabulary vocabulary() {
    return vocabulary;
  }

  /**
   * Returns the ids of a text as it stands: nothing is added, and the name of a control token is
   * ordinary text. The way for text that users give.
   *
   * @throws IllegalArgumentException if the text has more than 2<sup>30</sup> bytes of UTF-8
   */
  public int[] encode(String text) {
    return encode(text, false, false);
  }

  /**
   * Returns the ids of a text.
   *
   * @apiNote Calls {@code llama_tokenize}.
   * @param text the text
   * @param addSpecial whether beginning and end tokens are added, where the vocabulary says so
   * @param parseSpecial whether the name of a control token, such as {@code <|end|>}, becomes that
   *     token
   * @throws IllegalArgumentException if the text has more than 2<sup>30</sup> bytes of UTF-8
   * @throws UnsupportedOperationForModelException if the vocabulary says to add a token that it
   *     does not have
   */
  public int[] encode(String text, boolean addSpecial, boolean parseSpecial) {
    return vocabulary.encode(text, addSpecial, parseSpecial);
  }

  /** Returns the text of tokens, without control tokens. */
  public String decode(int[] tokens) {
    return decode(tokens, false);
  }

  /**
   * Returns the text of tokens.
   *
   * @param tokens token ids
   * @param special whether control tokens appear as their names
   */
  public String decode(int[] tokens, boolean special) {
    return new String(vocabulary.decode(tokens, special), StandardCharsets.UTF_8);
  }

  /** Returns the bytes of tokens, without control tokens. */
  public byte[] decodeBytes(int[] tokens) {
    return vocabulary.decode(tokens, false);
  }

  /**
   * Returns a decoder for tokens that arrive one by one and continue a text.
   *
   * @param special whether control tokens appear as their names
   */
  public StreamDecoder newStreamDecoder(boolean special) {
    return new StreamDecoder(vocabulary, special);
  }

  /**
   * Returns the bytes that a token stands for in the middle of a text; a control token's name.
   *
   * @apiNote Calls {@code llama_token_to_piece}.
   */
  public byte[] piece(int token) {
    return vocabulary.copyOfPiece(token);
  }

  /**
   * Returns a token's text as the vocabulary has it, such as {@code ▁the} or {@code <0x0A>}.
   *
   * @apiNote Calls {@code llama_vocab_get_text}.
   */
  public String text(int token) {
    return vocabulary.rawText(token);
  }

  /** Returns the number of tokens. */
  public int size() {
    return vocabulary.size();
  }

  /** Returns the token that begins a text, where there is one. */
  public OptionalInt bos() {
    return vocabulary.bos();
  }

  /** Returns the token that ends a text, where there is one. */
  public OptionalInt eos() {
    return vocabulary.eos();
  }

  /** Returns the token that ends a turn of a chat, where there is one. */
  public OptionalInt eot() {
    return vocabulary.eot();
  }

  /** Returns the token of a line break, where there is one. */
  public OptionalInt newline() {
    return vocabulary.newline();
  }

  /** Returns the token that separates texts, where there is one. */
  public OptionalInt separator() {
    return vocabulary.separator();
  }

  /** Returns the token that fills up a batch, where there is one. */
  public OptionalInt padding() {
    return vocabulary.padding();
  }

  /** Returns the tokens for filling a gap in a text. */
  public FillInTokens fillInTokens() {
    return new FillInTokens(
        vocabulary.fillInPrefix(), vocabulary.fillInSuffix(), vocabulary.fillInMiddle());
  }

  /**
   * The tokens for filling a gap in a text, each where there is one.
   *
   * @param prefix stands before what comes before the gap
   * @param suffix stands before what comes after the gap
   * @param middle stands before what fills the gap
   */
  public record FillInTokens(OptionalInt prefix, OptionalInt suffix, OptionalInt middle) {}

  /** Tells whether a generation ends with this token: end of text, of turn, of message. */
  public boolean isEndOfGeneration(int token) {
    return vocabulary.isEnd(token);
  }

  /** Returns the tokens with which a generation ends, ascending. */
  public List<Integer> endOfGenerationTokens() {
    return IntStream.of(vocabulary.endTokenIds()).boxed().toList();
  }

  /** Tells whether a token is a mark of the format, not text. */
  public boolean isControl(int token) {
    return vocabulary.isControl(token);
  }

  /**
   * Tells whether {@link #encode(String, boolean, boolean)} with special tokens begins with {@link
   * #bos()}.
   */
  public boolean addsBos() {
    return vocabulary.addsBos();
  }

  /**
   * Tells whether {@link #encode(String, boolean, boolean)} with special tokens ends with {@link
   * #eos()}.
   */
  public boolean addsEos() {
    return vocabulary.addsEos();
  }
}
