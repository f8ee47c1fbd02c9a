package dev.gatun.internal;

import static dev.gatun.bindings.generated.gatun_shim_h.gatun_free;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_json_schema_to_grammar;

import dev.gatun.bindings.Segments;
import dev.gatun.bindings.generated.CTypes;
import dev.gatun.error.GrammarException;
import dev.gatun.json.Json;
import dev.gatun.sampling.Grammar;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Turns JSON schemas into GBNF. Needs the native libraries, but no model; the grammars have passed
 * {@link GbnfChecker}. Thread-safe.
 */
public final class JsonSchemas {
  private static final long MAX_GRAMMAR_BYTES = 1L << 26;
  private static final long STACK_BYTES = 1L << 26;

  private JsonSchemas() {}

  /**
   * Returns the grammar of the texts that a schema describes.
   *
   * @throws GrammarException if the schema is not JSON, or has what cannot be expressed
   */
  public static Grammar.Gbnf toGbnf(Grammar.JsonSchema schema) {
    try {
      Json.parse(schema.schema());
    } catch (Json.JsonException e) {
      throw new GrammarException(
          "the JSON schema is no JSON text: " + e.getMessage() + "; correct it there", e);
    }
    // The conversion calls itself for each level.
    Grammar.Gbnf grammar = DeepStack.call(STACK_BYTES, () -> convert(schema));
    try {
      GbnfChecker.check(grammar.source(), grammar.root());
    } catch (GrammarException e) {
      throw new GrammarException(
          "the JSON schema asks for what a grammar cannot express: " + e.getMessage(), e);
    }
    return grammar;
  }

  private static Grammar.Gbnf convert(Grammar.JsonSchema schema) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(ValueLayout.ADDRESS);
      ErrorBuffer error = new ErrorBuffer(call);
      int status =
          gatun_json_schema_to_grammar(
              call.allocateFrom(schema.schema()), out, error.segment(), error.capacity());
      Status.check("turning the JSON schema into a grammar", status, error, GrammarException::new);
      MemorySegment text = CTypes.pointer(out, 0);
      try {
        return new Grammar.Gbnf(Segments.utf8(text, MAX_GRAMMAR_BYTES), "root");
      } finally {
        gatun_free(text);
      }
    }
  }
}
