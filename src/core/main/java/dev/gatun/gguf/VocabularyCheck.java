package dev.gatun.gguf;

import java.util.Arrays;
import java.util.OptionalInt;
import java.util.OptionalLong;

/** Refuses vocabularies on which llama.cpp would end the process. */
final class VocabularyCheck {
  private static final String PREFIX = "tokenizer.ggml.";
  private static final String TOKENS = PREFIX + "tokens";
  private static final String TYPES = PREFIX + "token_type";
  private static final String EMPTY_NAME = "[EMPTY_";
  private static final int BYTE_TOKEN = 6;
  // Tokens that native code takes when the file names none: SPM, BPE, BERT, T5.
  private static final int SPM_BOS = 1;
  private static final int SPM_EOS = 2;
  private static final int BPE_BOS_EOS = 11;
  private static final int BERT_BOS = 101;
  private static final int BERT_SEPARATOR = 102;
  private static final int T5_EOS = 1;

  private final ModelFileCheck file;
  private final GgufArray tokens;
  private final String model;

  private VocabularyCheck(ModelFileCheck file, GgufArray tokens, String model) {
    this.file = file;
    this.tokens = tokens;
    this.model = model;
  }

  static void check(ModelFileCheck file) {
    String model = file.text(PREFIX + "model");
    if (model.equals("no_vocab") || model.equals("none")) {
      throw file.fault(PREFIX + "model", "must be a tokenizer's, for only text models are run");
    }
    if (file.file().metadata().get(TOKENS) instanceof GgufArray tokens
        && tokens.elementType() == GgufType.STRING) {
      VocabularyCheck check = new VocabularyCheck(file, tokens, model);
      if (tokens.size() == 0) {
        throw file.fault(TOKENS, "must not be empty");
      }
      check.duplicates();
      check.emptyTokens();
      check.specials();
      check.byteTokens();
    }
  }

  private void duplicates() {
    OptionalInt repeated = RepeatedText.find(tokens);
    if (repeated.isPresent()) {
      int index = repeated.getAsInt();
      throw file.refusal(
          "element " + index + " of key '" + TOKENS + "' is '" + tokens.text(index) + "'",
          "an earlier element is the same");
    }
  }

  /** Native code gives an empty token a name that another token may have already. */
  private void emptyTokens() {
    for (int i = 0; i < tokens.size(); i++) {
      if (tokens.textBytes(i) > EMPTY_NAME.length() && tokens.textByte(i, 1) == 'E') {
        String text = tokens.text(i);
        for (int k = 0; text.startsWith(EMPTY_NAME) && k < tokens.size(); k++) {
          if (tokens.isEmptyText(k) && text.startsWith(EMPTY_NAME + k + "]")) {
            throw file.refusal(
                "element " + k + " of key '" + TOKENS + "' is empty",
                "element " + i + " is '" + text + "', the name it would get");
          }
        }
      }
    }
  }

  private void specials() {
    boolean bos = file.bool(PREFIX + "add_bos_token", true);
    switch (model) {
      case "llama" -> {
        require("bos", bos, SPM_BOS);
        require("eos", file.bool(PREFIX + "add_eos_token", false), SPM_EOS);
      }
      case "bert" -> {
        require("bos", true, BERT_BOS);
        require("seperator", true, BERT_SEPARATOR);
      }
      case "t5" -> {
        require("bos", file.bool(PREFIX + "add_bos_token", false), tokens.size());
        require("eos", file.bool(PREFIX + "add_eos_token", true), T5_EOS);
      }
      case "gemma4" -> {
        require("bos", true, tokens.size());
        require("eos", file.bool(PREFIX + "add_eos_token", false), tokens.size());
      }
      default -> {
        require("bos", bos, BPE_BOS_EOS);
        require("eos", file.bool(PREFIX + "add_eos_token", true), BPE_BOS_EOS);
      }
    }
  }

  /** A token that is added to every text must exist: by its key or by the tokenizer's default. */
  private void require(String name, boolean added, int otherwise) {
    String key = PREFIX + name + "_token_id";
    OptionalLong stated = file.uint32(key);
    boolean exists =
        otherwise < tokens.size() || (stated.isPresent() && stated.getAsLong() < tokens.size());
    if (added && !exists) {
      throw file.fault(key, "must be one of the " + tokens.size() + " tokens, for it is added");
    }
  }

  /** Native code reads the two digits of a byte token without looking, or knows no such token. */
  private void byteTokens() {
    if (!(file.file().metadata().get(TYPES) instanceof GgufArray types)
        || types.elementType() != GgufType.INT32) {
      return;
    }
    boolean known = model.equals("llama") || model.equals("t5") || model.equals("gemma4");
    for (int i = 0; i < Math.min(types.size(), tokens.size()); i++) {
      if (types.whole(i) == BYTE_TOKEN && (!known || tokens.textBytes(i) < 3)) {
        throw file.refusal(
            "token " + i + ", '" + tokens.text(i) + "', is of type BYTE",
            known ? "its text is no <0xXX>" : "tokenizer '" + model + "' has no such tokens");
      }
    }
  }

  /** Finds equal texts without making strings of them: a vocabulary has 250,000. */
  private static final class RepeatedText {
    private RepeatedText() {}

    static OptionalInt find(GgufArray texts) {
      int slots = Integer.highestOneBit(Math.max(8, texts.size())) << 2;
      int[] table = new int[slots];
      Arrays.fill(table, -1);
      for (int i = 0; i < texts.size(); i++) {
        if (texts.isEmptyText(i)) {
          continue; // Native code names it [EMPTY_i].
        }
        int slot = mix(texts.textHash(i)) & (slots - 1);
        while (table[slot] >= 0) {
          if (texts.sameText(table[slot], i)) {
            return OptionalInt.of(i);
          }
          slot = (slot + 1) & (slots - 1);
        }
        table[slot] = i;
      }
      return OptionalInt.empty();
    }

    private static int mix(int hash) {
      return hash ^ (hash >>> 15) ^ (hash >>> 7);
    }
  }
}
