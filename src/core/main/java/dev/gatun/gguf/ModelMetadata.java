package dev.gatun.gguf;

import dev.gatun.error.GgufFormatException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * A model file's metadata in the words of language models.
 *
 * <p>Values are read when asked for; a value the file does not state is an empty optional. A method
 * throws {@link GgufFormatException} when the file states a value of the wrong type. Immutable; any
 * thread.
 */
public final class ModelMetadata {
  private static final int FILE_TYPE_GUESSED = 1024;

  private final GgufFile file;
  private final String architecture;

  ModelMetadata(GgufFile file) {
    this.file = file;
    this.architecture = file.string("general.architecture").orElse("");
  }

  /** Returns the architecture, such as {@code llama}; empty when the file does not state it. */
  public String architecture() {
    return architecture;
  }

  /** Returns the model's name. */
  public Optional<String> name() {
    return file.string("general.name");
  }

  /** Returns the number of tokens the model was trained on at once. */
  public OptionalLong trainedContextTokens() {
    return file.uint32(key("context_length"));
  }

  /** Returns the width of the model: the number of elements of an embedding. */
  public OptionalLong embeddingLength() {
    return file.uint32(key("embedding_length"));
  }

  /** Returns the number of layers. */
  public OptionalInt layerCount() {
    return small(key("block_count"));
  }

  /**
   * Returns the number of query heads of a layer.
   *
   * @param layer 0 to {@code layerCount - 1}
   */
  public OptionalInt headCount(int layer) {
    return perLayer(key("attention.head_count"), layer);
  }

  /**
   * Returns the number of key-value heads of a layer: the number of query heads unless the file
   * says otherwise; 0 for a layer without attention.
   *
   * @param layer 0 to {@code layerCount - 1}
   */
  public OptionalInt kvHeadCount(int layer) {
    OptionalInt heads = perLayer(key("attention.head_count_kv"), layer);
    return heads.isPresent() ? heads : headCount(layer);
  }

  /**
   * Returns the width of the feed-forward part of a layer.
   *
   * @param layer 0 to {@code layerCount - 1}
   */
  public OptionalInt feedForwardLength(int layer) {
    return perLayer(key("feed_forward_length"), layer);
  }

  /** Returns the number of elements of a key head in layers with full attention. */
  public OptionalInt headSizeK() {
    return headSize("attention.key_length");
  }

  /** Returns the number of elements of a value head in layers with full attention. */
  public OptionalInt headSizeV() {
    return headSize("attention.value_length");
  }

  /** Returns the number of elements of a key head in sliding-window layers. */
  public OptionalInt slidingWindowHeadSizeK() {
    OptionalInt size = small(key("attention.key_length_swa"));
    return size.isPresent() ? size : headSizeK();
  }

  /** Returns the number of elements of a value head in sliding-window layers. */
  public OptionalInt slidingWindowHeadSizeV() {
    OptionalInt size = small(key("attention.value_length_swa"));
    return size.isPresent() ? size : headSizeV();
  }

  /** Returns what the file says about rotary position embedding. */
  public RopeMetadata rope() {
    return RopeMetadata.of(file, architecture);
  }

  /** Returns the number of tokens a sliding-window layer looks back; empty without such layers. */
  public OptionalLong slidingWindowTokens() {
    OptionalLong window = file.uint32(key("attention.sliding_window"));
    return window.orElse(0) == 0 ? OptionalLong.empty() : window;
  }

  /**
   * Returns how the file says sliding-window and full layers alternate: one truth value for each
   * layer, or the period as a whole number. Empty when the architecture alone decides it.
   */
  public Optional<GgufValue> slidingWindowPattern() {
    return Optional.ofNullable(file.metadata().get(key("attention.sliding_window_pattern")));
  }

  /** Returns the number of tokens of the vocabulary. */
  public OptionalInt vocabularySize() {
    Optional<GgufArray> tokens = file.array("tokenizer.ggml.tokens");
    if (tokens.isPresent()) {
      return OptionalInt.of(tokens.get().size());
    }
    return small(key("vocab_size"));
  }

  /** Returns the kind of tokenizer: {@code llama} (SPM), {@code gpt2} (BPE), {@code bert}, ... */
  public Optional<String> tokenizerModel() {
    return file.string("tokenizer.ggml.model");
  }

  /** Returns the name of the tokenizer's way to cut text into words before merging. */
  public Optional<String> tokenizerPre() {
    return file.string("tokenizer.ggml.pre");
  }

  /** Returns the ids of special tokens by their short name: {@code bos}, {@code eos}, ... */
  public Map<String, Integer> specialTokens() {
    Map<String, Integer> ids = new LinkedHashMap<>();
    for (String name :
        new String[] {
          "bos",
          "eos",
          "eot",
          "eom",
          "unknown",
          "seperator",
          "padding",
          "cls",
          "mask",
          "fim_pre",
          "fim_suf",
          "fim_mid",
          "fim_pad",
          "fim_rep",
          "fim_sep"
        }) {
      // "seperator" is how the format spells it.
      OptionalLong id = file.whole("tokenizer.ggml." + name + "_token_id");
      if (id.isPresent() && id.getAsLong() >= 0 && id.getAsLong() <= Integer.MAX_VALUE) {
        ids.put(name.equals("seperator") ? "separator" : name, (int) id.getAsLong());
      }
    }
    return ids;
  }

  /** Returns whether the tokenizer puts its beginning-of-sequence token before a text. */
  public Optional<Boolean> addsBeginOfSequence() {
    return file.bool("tokenizer.ggml.add_bos_token");
  }

  /** Returns the model's default chat template, in Jinja. */
  public Optional<String> chatTemplate() {
    return file.string("tokenizer.chat_template");
  }

  /** Returns the number of experts; empty for a model without. */
  public OptionalInt expertCount() {
    OptionalInt count = small(key("expert_count"));
    return count.orElse(0) == 0 ? OptionalInt.empty() : count;
  }

  /**
   * Returns the number of experts a token uses in a layer; empty for a model without.
   *
   * @param layer 0 to {@code layerCount - 1}
   */
  public OptionalInt expertUsedCount(int layer) {
    return expertCount().isEmpty()
        ? OptionalInt.empty()
        : perLayer(key("expert_used_count"), layer);
  }

  /** Returns the number of elements of a recurrent layer's state; empty without such layers. */
  public OptionalInt recurrentStateSize() {
    return small(key("ssm.state_size"));
  }

  /** Tells whether the file holds a vocabulary and no weights. */
  public boolean isVocabularyOnly() {
    return file.tensors().isEmpty() && file.metadata().containsKey("tokenizer.ggml.model");
  }

  /**
   * Returns the name of the weights' format, such as {@code Q4_K_M} or {@code F16}: as the file
   * states it, else the most frequent type among its tensors.
   */
  public String quantisation() {
    OptionalLong stated = file.uint32("general.file_type");
    if (stated.isPresent()) {
      return fileTypeName(stated.getAsLong());
    }
    Map<GgmlType, Long> bytes = new LinkedHashMap<>();
    file.tensors().forEach(tensor -> bytes.merge(tensor.type(), tensor.bytes(), Long::sum));
    return bytes.entrySet().stream()
        .max(Map.Entry.comparingByValue())
        .map(entry -> entry.getKey().name())
        .orElse("none");
  }

  /** Returns the number of elements of all tensors. */
  public long parameterCount() {
    return file.parameterCount();
  }

  /** Returns the number of bytes of all tensors. */
  public long tensorBytes() {
    return file.tensorBytes();
  }

  /** Returns a factor the file states under {@code <architecture>.<suffix>}, if it does. */
  public OptionalDouble factor(String suffix) {
    return file.real(key(suffix));
  }

  /** Returns a whole number the file states under {@code <architecture>.<suffix>}, if it does. */
  public OptionalLong number(String suffix) {
    return file.uint32(key(suffix));
  }

  /** Returns any value the file states under {@code <architecture>.<suffix>}, if it does. */
  public Optional<GgufValue> value(String suffix) {
    return Optional.ofNullable(file.metadata().get(key(suffix)));
  }

  private String key(String suffix) {
    return architecture + "." + suffix;
  }

  private OptionalInt headSize(String suffix) {
    OptionalInt stated = small(key(suffix));
    if (stated.isPresent()) {
      return stated;
    }
    int heads = headCount(0).orElse(0);
    OptionalLong width = embeddingLength();
    if (heads == 0 || width.isEmpty()) {
      return OptionalInt.empty();
    }
    return OptionalInt.of(checked(key(suffix), width.getAsLong() / heads));
  }

  private OptionalInt small(String key) {
    OptionalLong value = file.uint32(key);
    return value.isEmpty() ? OptionalInt.empty() : OptionalInt.of(checked(key, value.getAsLong()));
  }

  /** A scalar holds for every layer; an array has one element for each. */
  private OptionalInt perLayer(String key, int layer) {
    if (layer < 0) {
      throw new IndexOutOfBoundsException("layer " + layer);
    }
    if (!(file.metadata().get(key) instanceof GgufArray array)) {
      return small(key);
    }
    if (!array.elementType().isInteger() || layer >= array.size()) {
      throw new GgufFormatException(
          file.path()
              + ": key '"
              + key
              + "' is "
              + array
              + ", which has no whole number for layer "
              + layer
              + "; convert the model again");
    }
    return OptionalInt.of(checked(key, array.whole(layer)));
  }

  private int checked(String key, long value) {
    if (value < 0 || value > Integer.MAX_VALUE) {
      throw new GgufFormatException(
          file.path() + ": key '" + key + "' is " + value + "; convert the model again");
    }
    return (int) value;
  }

  private static String fileTypeName(long type) {
    return switch ((int) (type & ~FILE_TYPE_GUESSED)) {
      case 0 -> "F32";
      case 1 -> "F16";
      case 2 -> "Q4_0";
      case 3 -> "Q4_1";
      case 7 -> "Q8_0";
      case 8 -> "Q5_0";
      case 9 -> "Q5_1";
      case 10 -> "Q2_K";
      case 11 -> "Q3_K_S";
      case 12 -> "Q3_K_M";
      case 13 -> "Q3_K_L";
      case 14 -> "Q4_K_S";
      case 15 -> "Q4_K_M";
      case 16 -> "Q5_K_S";
      case 17 -> "Q5_K_M";
      case 18 -> "Q6_K";
      case 19 -> "IQ2_XXS";
      case 20 -> "IQ2_XS";
      case 21 -> "Q2_K_S";
      case 22 -> "IQ3_XS";
      case 23 -> "IQ3_XXS";
      case 24 -> "IQ1_S";
      case 25 -> "IQ4_NL";
      case 26 -> "IQ3_S";
      case 27 -> "IQ3_M";
      case 28 -> "IQ2_S";
      case 29 -> "IQ2_M";
      case 30 -> "IQ4_XS";
      case 31 -> "IQ1_M";
      case 32 -> "BF16";
      case 36 -> "TQ1_0";
      case 37 -> "TQ2_0";
      case 38 -> "MXFP4_MOE";
      case 39 -> "NVFP4";
      case 40 -> "Q1_0";
      case 41 -> "Q2_0";
      default -> "type " + type;
    };
  }
}
