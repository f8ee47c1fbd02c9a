package dev.gatun.sampling;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/**
 * What a generated text must look like. Syntax is checked when a generation starts, with line and
 * column in the error. Immutable.
 */
public sealed interface Grammar {
  /** Returns a grammar in GBNF whose start symbol is {@code root}. */
  static Gbnf gbnf(String source) {
    return new Gbnf(source, "root");
  }

  /** Returns a grammar in GBNF. */
  static Gbnf gbnf(String source, String root) {
    return new Gbnf(source, root);
  }

  /** Returns the grammar of the JSON texts that a JSON schema describes. */
  static JsonSchema jsonSchema(String schema) {
    return new JsonSchema(schema);
  }

  /** Returns the grammar of every JSON value. */
  static JsonSchema json() {
    return new JsonSchema("{}");
  }

  /** Returns a grammar that begins when the text contains one of the words; see {@link Lazy}. */
  static Lazy lazy(Grammar grammar, String... words) {
    return new Lazy(grammar, List.of(words), Set.of());
  }

  /**
   * A grammar in llama.cpp's GBNF notation.
   *
   * @param source rules such as {@code root ::= "yes" | "no"}
   * @param root the start symbol
   */
  record Gbnf(String source, String root) implements Grammar {
    /** Checks that both are there. */
    public Gbnf {
      Objects.requireNonNull(source, "source");
      Objects.requireNonNull(root, "root");
    }
  }

  /**
   * The JSON texts that a JSON schema describes.
   *
   * @apiNote The schema becomes GBNF by llama.cpp's {@code json_schema_to_grammar}; its limits
   *     apply.
   * @param schema a JSON text
   */
  record JsonSchema(String schema) implements Grammar {
    /** Checks that it is there. */
    public JsonSchema {
      Objects.requireNonNull(schema, "schema");
    }
  }

  /**
   * A grammar that holds from the first occurrence of a trigger on, and lets everything through
   * before it. The trigger is part of the text that the grammar describes.
   *
   * @param grammar what holds then; not lazy itself
   * @param words texts that trigger it, each 1 to {@value #MAX_WORD_BYTES} bytes of UTF-8
   * @param tokens token ids that trigger it; checked against the vocabulary when a generation
   *     starts
   */
  record Lazy(Grammar grammar, List<String> words, Set<Integer> tokens) implements Grammar {
    /** The longest trigger word, in bytes of UTF-8. */
    public static final int MAX_WORD_BYTES = 256;

    /** Copies the collections and checks them. */
    public Lazy {
      words = List.copyOf(words);
      tokens = Set.copyOf(tokens);
      if (grammar instanceof Lazy) {
        throw new IllegalArgumentException("a lazy grammar cannot hold another lazy grammar");
      }
      Objects.requireNonNull(grammar, "grammar");
      if (words.isEmpty() && tokens.isEmpty()) {
        throw new IllegalArgumentException(
            "a lazy grammar needs a word or a token that triggers it");
      }
      for (String word : words) {
        int bytes = word.getBytes(StandardCharsets.UTF_8).length;
        if (bytes == 0 || bytes > MAX_WORD_BYTES || word.indexOf('\0') >= 0) {
          throw new IllegalArgumentException(
              "a trigger word must have 1 to "
                  + MAX_WORD_BYTES
                  + " bytes of UTF-8, none of them 0, but one has "
                  + bytes
                  + " bytes");
        }
      }
    }
  }
}
