package dev.gatun.internal;

import static dev.gatun.bindings.generated.llama_h.llama_model_desc;
import static dev.gatun.bindings.generated.llama_h.llama_model_has_encoder;
import static dev.gatun.bindings.generated.llama_h.llama_model_is_hybrid;
import static dev.gatun.bindings.generated.llama_h.llama_model_is_recurrent;
import static dev.gatun.bindings.generated.llama_h.llama_model_n_ctx_train;
import static dev.gatun.bindings.generated.llama_h.llama_model_n_embd;
import static dev.gatun.bindings.generated.llama_h.llama_model_n_layer;
import static dev.gatun.bindings.generated.llama_h.llama_model_n_params;
import static dev.gatun.bindings.generated.llama_h.llama_model_n_swa;
import static dev.gatun.bindings.generated.llama_h.llama_model_size;
import static dev.gatun.bindings.generated.llama_h.llama_vocab_n_tokens;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * What the native side says about a loaded model, read once: creating a YaRN context changes {@code
 * llama_model_n_ctx_train} for good.
 *
 * @param description {@code llama_model_desc}
 * @param sizeBytes {@code llama_model_size}
 * @param parameterCount {@code llama_model_n_params}
 * @param trainedContextTokens {@code llama_model_n_ctx_train}
 * @param vocabularySize {@code llama_vocab_n_tokens}
 * @param embeddingLength {@code llama_model_n_embd}
 * @param layerCount {@code llama_model_n_layer}
 * @param slidingWindowTokens {@code llama_model_n_swa}
 * @param recurrent {@code llama_model_is_recurrent}
 * @param hybrid {@code llama_model_is_hybrid}
 * @param encoder {@code llama_model_has_encoder}
 */
public record ModelInfo(
    String description,
    long sizeBytes,
    long parameterCount,
    int trainedContextTokens,
    int vocabularySize,
    int embeddingLength,
    int layerCount,
    int slidingWindowTokens,
    boolean recurrent,
    boolean hybrid,
    boolean encoder) {

  private static final int DESCRIPTION_BYTES = 256;

  /** Reads everything from a model that was just loaded. */
  public static ModelInfo of(NativeModel model) {
    MemorySegment handle = model.handle();
    model.guard().enter();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment buffer = call.allocate(DESCRIPTION_BYTES);
      llama_model_desc(handle, buffer, DESCRIPTION_BYTES);
      return new ModelInfo(
          buffer.getString(0),
          llama_model_size(handle),
          llama_model_n_params(handle),
          llama_model_n_ctx_train(handle),
          llama_vocab_n_tokens(model.vocab()),
          llama_model_n_embd(handle),
          llama_model_n_layer(handle),
          llama_model_n_swa(handle),
          llama_model_is_recurrent(handle),
          llama_model_is_hybrid(handle),
          llama_model_has_encoder(handle));
    } finally {
      model.guard().exit();
    }
  }
}
