package dev.gatun.internal;

import static dev.gatun.bindings.generated.gatun_shim_h.gatun_token_to_piece;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_tokenize;
import static dev.gatun.bindings.generated.llama_h.LLAMA_TOKEN_ATTR_CONTROL;
import static dev.gatun.bindings.generated.llama_h.LLAMA_TOKEN_ATTR_UNKNOWN;
import static dev.gatun.bindings.generated.llama_h.LLAMA_TOKEN_ATTR_USER_DEFINED;
import static dev.gatun.bindings.generated.llama_h.LLAMA_VOCAB_TYPE_BPE;
import static dev.gatun.bindings.generated.llama_h.LLAMA_VOCAB_TYPE_NONE;
import static dev.gatun.bindings.generated.llama_h.LLAMA_VOCAB_TYPE_SPM;
import static dev.gatun.bindings.generated.llama_h.LLAMA_VOCAB_TYPE_UGM;
import static dev.gatun.bindings.generated.llama_h.LLAMA_VOCAB_TYPE_WPM;
import static dev.gatun.bindings.generated.llama_h.llama_model_meta_val_str;
import static dev.gatun.bindings.generated.llama_h.llama_vocab_get_add_bos;
import static dev.gatun.bindings.generated.llama_h.llama_vocab_get_add_eos;
import static dev.gatun.bindings.generated.llama_h.llama_vocab_get_attr;
import static dev.gatun.bindings.generated.llama_h.llama_vocab_get_text;
import static dev.gatun.bindings.generated.llama_h.llama_vocab_is_eog;
import static dev.gatun.bindings.generated.llama_h.llama_vocab_n_tokens;
import static dev.gatun.bindings.generated.llama_h.llama_vocab_type;

import dev.gatun.bindings.Segments;
import dev.gatun.bindings.generated.llama_h;
import dev.gatun.error.LlamaException;
import dev.gatun.error.UnsupportedOperationForModelException;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/**
 * A model's {@code llama_vocab}.
 *
 * <p>Thread-safe. Token pieces are asked for once and kept.
 */
public final class NativeVocabulary {
  /** The longest text, in bytes of UTF-8. */
  public static final int MAX_TEXT_BYTES = 1 << 30;

  private static final int MAX_TOKEN_TEXT_BYTES = 1 << 20;

  private final NativeModel model;
  private final int type;
  private final int size;
  private final boolean addsBos;
  private final boolean addsEos;
  private final boolean recurses;
  private volatile TokenPiece @Nullable [] pieces;
  private volatile @Nullable Boolean prefixesSpace;
  private volatile @Nullable BitSet endTokens;

  /** Creates the view of a model's vocabulary. */
  public NativeVocabulary(NativeModel model) {
    this.model = model;
    model.guard().enter();
    try {
      MemorySegment vocab = model.vocab();
      type = llama_vocab_type(vocab);
      size = llama_vocab_n_tokens(vocab);
      addsBos = llama_vocab_get_add_bos(vocab);
      addsEos = llama_vocab_get_add_eos(vocab);
      recurses = type == LLAMA_VOCAB_TYPE_BPE && WordSplitter.recurses(splitter());
    } finally {
      model.guard().exit();
    }
  }

  private String splitter() {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment name = call.allocate(64);
      int length =
          llama_model_meta_val_str(
              model.handle(), call.allocateFrom("tokenizer.ggml.pre"), name, name.byteSize());
      return length < 0 ? "" : name.getString(0);
    }
  }

  /** Returns the number of tokens. */
  public int size() {
    return size;
  }

  /** Tells whether {@link #encode} with special tokens begins with BOS. */
  public boolean addsBos() {
    return addsBos;
  }

  /** Tells whether {@link #encode} with special tokens ends with EOS. */
  public boolean addsEos() {
    return addsEos;
  }

  private OptionalInt special(ToIntFunction<MemorySegment> function) {
    model.guard().enter();
    try {
      int token = function.applyAsInt(model.vocab());
      return token < 0 ? OptionalInt.empty() : OptionalInt.of(token);
    } finally {
      model.guard().exit();
    }
  }

  /** Returns BOS. */
  public OptionalInt bos() {
    return special(llama_h::llama_vocab_bos);
  }

  /** Returns EOS. */
  public OptionalInt eos() {
    return special(llama_h::llama_vocab_eos);
  }

  /** Returns the end-of-turn token. */
  public OptionalInt eot() {
    return special(llama_h::llama_vocab_eot);
  }

  /** Returns the token of a line break. */
  public OptionalInt newline() {
    return special(llama_h::llama_vocab_nl);
  }

  /** Returns the separator. */
  public OptionalInt separator() {
    return special(llama_h::llama_vocab_sep);
  }

  /** Returns the padding token. */
  public OptionalInt padding() {
    return special(llama_h::llama_vocab_pad);
  }

  /** Returns the token before what comes before a gap. */
  public OptionalInt fillInPrefix() {
    return special(llama_h::llama_vocab_fim_pre);
  }

  /** Returns the token before what comes after a gap. */
  public OptionalInt fillInSuffix() {
    return special(llama_h::llama_vocab_fim_suf);
  }

  /** Returns the token before what fills a gap. */
  public OptionalInt fillInMiddle() {
    return special(llama_h::llama_vocab_fim_mid);
  }

  /**
   * Returns the ids of a text.
   *
   * @param text lone surrogates become question marks
   * @param addSpecial whether the vocabulary's BOS and EOS are added as it says
   * @param parseSpecial whether the text of a control token becomes that token
   * @throws UnsupportedOperationForModelException if the model has no vocabulary, or lacks a token
   *     that it says to add
   * @throws IllegalArgumentException if the text is longer than {@link #MAX_TEXT_BYTES}, or has a
   *     run of characters that the splitter would not survive
   */
  public int[] encode(String text, boolean addSpecial, boolean parseSpecial) {
    requireVocabulary();
    if (addSpecial) {
      requireAddedTokens();
    }
    if (text.length() > MAX_TEXT_BYTES / 3 && utf8Length(text) > MAX_TEXT_BYTES) {
      throw new IllegalArgumentException(
          ("the text has %,d bytes of UTF-8, more than the %,d that can be tokenized at "
                  + "once; split it")
              .formatted(utf8Length(text), MAX_TEXT_BYTES));
    }
    int run = recurses && text.length() > WordSplitter.SHORT ? WordSplitter.longestRun(text) : 0;
    if (run > WordSplitter.LONGEST) {
      throw new IllegalArgumentException(
          ("the text has a run of %,d characters without a break, more than the %,d that "
                  + "this vocabulary's splitter survives; break it up")
              .formatted(run, WordSplitter.LONGEST));
    }
    model.guard().enter();
    try {
      return run <= WordSplitter.SHORT
          ? encodeNow(text, addSpecial, parseSpecial)
          : DeepStack.call(
              (1 << 20) + run * WordSplitter.STACK_BYTES_PER_CHARACTER,
              () -> encodeNow(text, addSpecial, parseSpecial));
    } finally {
      model.guard().exit();
    }
  }

  private int[] encodeNow(String text, boolean addSpecial, boolean parseSpecial) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    try (Arena call = Arena.ofConfined()) {
      MemorySegment in = call.allocateFrom(ValueLayout.JAVA_BYTE, bytes);
      MemorySegment count = call.allocate(ValueLayout.JAVA_INT);
      ErrorBuffer error = new ErrorBuffer(call);
      int capacity = bytes.length < 1 << 16 ? bytes.length + 8 : bytes.length / 2;
      while (true) {
        MemorySegment out = call.allocate(ValueLayout.JAVA_INT, capacity);
        int status =
            gatun_tokenize(
                model.vocab(),
                in,
                bytes.length,
                out,
                capacity,
                addSpecial,
                parseSpecial,
                count,
                error.segment(),
                error.capacity());
        Status.check("tokenizing", status, error, LlamaException::new);
        int needed = count.get(ValueLayout.JAVA_INT, 0);
        if (needed <= capacity) {
          return out.asSlice(0, 4L * needed).toArray(ValueLayout.JAVA_INT);
        }
        capacity = needed;
      }
    }
  }

  /**
   * Returns what a token stands for.
   *
   * @throws IndexOutOfBoundsException if {@code token} is not below {@link #size()}
   */
  public TokenPiece piece(int token) {
    Objects.checkIndex(token, size);
    TokenPiece[] known = pieces;
    if (known == null) {
      known = new TokenPiece[size];
      pieces = known;
    }
    TokenPiece piece = known[token];
    if (piece == null) {
      piece = loadPiece(token);
      known[token] = piece;
    }
    return piece;
  }

  private TokenPiece loadPiece(int token) {
    requireVocabulary();
    model.guard().enter();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment count = call.allocate(ValueLayout.JAVA_INT);
      ErrorBuffer error = new ErrorBuffer(call);
      int capacity = 64;
      while (true) {
        MemorySegment out = call.allocate(capacity);
        int status =
            gatun_token_to_piece(
                model.vocab(),
                token,
                out,
                capacity,
                true,
                count,
                error.segment(),
                error.capacity());
        Status.check("reading the text of token " + token, status, error, LlamaException::new);
        int needed = count.get(ValueLayout.JAVA_INT, 0);
        if (needed <= capacity) {
          int attributes = llama_vocab_get_attr(model.vocab(), token);
          int mark = LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN;
          return new TokenPiece(
              out.asSlice(0, needed).toArray(ValueLayout.JAVA_BYTE),
              (attributes & mark) != 0,
              (attributes & (mark | LLAMA_TOKEN_ATTR_USER_DEFINED)) != 0);
        }
        capacity = needed;
      }
    } finally {
      model.guard().exit();
    }
  }

  /**
   * Returns the bytes that tokens stand for: the inverse of {@link #encode}. A space that encode
   * puts before a text or behind a special token is taken off again.
   *
   * @param marks whether control tokens appear as their names
   * @throws IndexOutOfBoundsException if a token is not below {@link #size()}
   */
  public byte[] decode(int[] tokens, boolean marks) {
    ByteArrayOutputStream out = new ByteArrayOutputStream(4 * tokens.length);
    boolean first = prefixesSpace();
    for (int token : tokens) {
      TokenPiece piece = piece(token);
      byte[] bytes = piece.bytes();
      if (piece.isAtomic()) {
        if (marks || !piece.isHidden()) {
          out.writeBytes(bytes);
        }
        first = prefixesSpace();
      } else {
        int skip = first && bytes.length > 0 && bytes[0] == ' ' ? 1 : 0;
        out.write(bytes, skip, bytes.length - skip);
        first = false;
      }
    }
    return out.toByteArray();
  }

  /**
   * Tells whether encode puts a space before a text. Found out by doing it: the flag is not in the
   * C interface.
   */
  private boolean prefixesSpace() {
    Boolean known = prefixesSpace;
    if (known == null) {
      boolean found = false;
      if (type != LLAMA_VOCAB_TYPE_NONE && type != LLAMA_VOCAB_TYPE_WPM) {
        int[] tokens = encode("a", false, false);
        found = tokens.length > 0 && startsWithSpace(piece(tokens[0]).bytes());
      }
      known = found;
      prefixesSpace = known;
    }
    return known;
  }

  private static boolean startsWithSpace(byte[] bytes) {
    return bytes.length > 0 && bytes[0] == ' ';
  }

  /**
   * Returns a token's text as the vocabulary has it, such as {@code ▁the} or {@code <0x0A>}.
   *
   * @throws IndexOutOfBoundsException if {@code token} is not below {@link #size()}
   */
  public String rawText(int token) {
    requireVocabulary();
    Objects.checkIndex(token, size);
    model.guard().enter();
    try {
      return Segments.utf8(llama_vocab_get_text(model.vocab(), token), MAX_TOKEN_TEXT_BYTES);
    } finally {
      model.guard().exit();
    }
  }

  /** Tells whether a text ends with this token. */
  public boolean isEnd(int token) {
    Objects.checkIndex(token, size);
    return endTokens().get(token);
  }

  /** Returns the tokens that end a text, ascending. */
  public int[] endTokenIds() {
    return endTokens().stream().toArray();
  }

  private BitSet endTokens() {
    BitSet known = endTokens;
    if (known == null) {
      known = new BitSet(size);
      model.guard().enter();
      try {
        for (int token = 0; token < size; token++) {
          if (llama_vocab_is_eog(model.vocab(), token)) {
            known.set(token);
          }
        }
      } finally {
        model.guard().exit();
      }
      endTokens = known;
    }
    return known;
  }

  /** Tells whether a token is a mark of the format, not text. */
  public boolean isControl(int token) {
    requireVocabulary();
    Objects.checkIndex(token, size);
    model.guard().enter();
    try {
      return (llama_vocab_get_attr(model.vocab(), token) & LLAMA_TOKEN_ATTR_CONTROL) != 0;
    } finally {
      model.guard().exit();
    }
  }

  /**
   * Refuses a model without a vocabulary: the native side would end the process.
   *
   * @throws UnsupportedOperationForModelException if there is none
   */
  public void requireVocabulary() {
    if (type == LLAMA_VOCAB_TYPE_NONE) {
      throw new UnsupportedOperationForModelException(
          "the model has no vocabulary, so it has no texts; give it token ids");
    }
  }

  /**
   * Refuses what the native side asserts: a vocabulary that says to add a token that it has not.
   */
  private void requireAddedTokens() {
    boolean word = type == LLAMA_VOCAB_TYPE_WPM;
    boolean asSaid =
        type == LLAMA_VOCAB_TYPE_SPM
            || type == LLAMA_VOCAB_TYPE_BPE
            || type == LLAMA_VOCAB_TYPE_UGM;
    boolean bosMissing = (word || (asSaid && addsBos)) && bos().isEmpty();
    boolean endMissing = word ? separator().isEmpty() : asSaid && addsEos && eos().isEmpty();
    if (bosMissing || endMissing) {
      throw new UnsupportedOperationForModelException(
          "the vocabulary says to add a "
              + (bosMissing ? "beginning" : "end")
              + " token, but has none; encode without special tokens, or correct the file's"
              + " metadata");
    }
  }

  private static long utf8Length(String text) {
    long length = 0;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      length += c < 0x80 ? 1 : c < 0x800 ? 2 : Character.isSurrogate(c) ? 2 : 3;
    }
    return length;
  }

  /** Returns a copy of the bytes of a token. */
  public byte[] copyOfPiece(int token) {
    byte[] bytes = piece(token).bytes();
    return Arrays.copyOf(bytes, bytes.length);
  }
}
