package dev.gatun.internal;

import static dev.gatun.bindings.generated.gatun_shim_h.gatun_adapter_lora_load;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_model_default_params;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_model_load;
import static dev.gatun.bindings.generated.llama_h.LLAMA_ROPE_TYPE_NORM;
import static dev.gatun.bindings.generated.llama_h.llama_adapter_lora_free;
import static dev.gatun.bindings.generated.llama_h.llama_model_free;
import static dev.gatun.bindings.generated.llama_h.llama_model_get_vocab;
import static dev.gatun.bindings.generated.llama_h.llama_model_rope_type;

import dev.gatun.bindings.ProgressCallback;
import dev.gatun.bindings.Segments;
import dev.gatun.bindings.generated.CTypes;
import dev.gatun.bindings.generated.llama_h;
import dev.gatun.bindings.generated.llama_model_params;
import dev.gatun.error.AlreadyClosedException;
import dev.gatun.error.CallbackException;
import dev.gatun.error.ModelLoadException;
import dev.gatun.error.OperationCancelledException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * A loaded {@code llama_model}. Shared by everything made from it; the last {@link #release()}
 * frees it.
 *
 * <p>Thread-safe.
 */
public final class NativeModel {
  private final Arena arena;
  private final MemorySegment handle;
  private final MemorySegment vocab;
  private final Guard guard;
  private final AtomicInteger references = new AtomicInteger(1);
  private @Nullable NativeVocabulary vocabulary;

  private NativeModel(Arena arena, MemorySegment handle, String name) {
    this.arena = arena;
    this.handle = handle;
    this.vocab = llama_model_get_vocab(handle);
    this.guard = new Guard(name);
  }

  /**
   * Loads a model. The caller has validated the files.
   *
   * @param files one file, or all splits in order
   * @param parameters how
   * @throws ModelLoadException if the native side refuses it
   * @throws OperationCancelledException if the progress listener said stop
   * @throws CallbackException if the progress listener threw
   */
  public static NativeModel load(List<Path> files, ModelParameters parameters) {
    Arena arena = Arena.ofShared();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment params = call.allocate(llama_model_params.BYTES, llama_model_params.ALIGNMENT);
      gatun_model_default_params(params);
      llama_model_params.n_gpu_layers(params, parameters.gpuLayers());
      llama_model_params.load_mode(params, parameters.loadMode());
      llama_model_params.vocab_only(params, parameters.vocabularyOnly());
      llama_model_params.check_tensors(params, parameters.checkTensors());
      if (!parameters.devices().isEmpty()) {
        llama_model_params.devices(params, Devices.pointers(parameters.devices(), call));
      }
      ProgressCallback progress = ProgressCallback.of(parameters.progress()::test);
      if (parameters.listens()) {
        llama_model_params.progress_callback(params, progress.pointer(call));
      }
      MemorySegment paths = call.allocate(ValueLayout.ADDRESS, files.size());
      for (int i = 0; i < files.size(); i++) {
        CTypes.pointer(paths, 8L * i, call.allocateFrom(files.get(i).toAbsolutePath().toString()));
      }
      MemorySegment out = call.allocate(ValueLayout.ADDRESS);
      ErrorBuffer error = new ErrorBuffer(call);
      int status =
          gatun_model_load(paths, files.size(), params, out, error.segment(), error.capacity());
      NativeLog.drain();
      Path first = files.getFirst();
      if (progress.failure().isPresent()) {
        if (status == Status.OK) {
          llama_model_free(CTypes.pointer(out, 0));
        }
        throw new CallbackException(
            "the progress listener threw while loading " + first, progress.failure().get());
      }
      if (status == Status.CANCELLED) {
        throw new OperationCancelledException("loading " + first + " was cancelled");
      }
      Status.check(
          "loading " + first,
          status,
          error,
          message -> new ModelLoadException(message + "; gatun info shows what the file holds"));
      MemorySegment handle =
          Segments.owned(CTypes.pointer(out, 0), arena, llama_h::llama_model_free);
      return new NativeModel(arena, handle, "model " + first.getFileName());
    } catch (RuntimeException | Error e) {
      arena.close();
      throw e;
    }
  }

  /** Returns the {@code llama_model}; use it between {@code guard().enter()} and {@code exit()}. */
  public MemorySegment handle() {
    return handle;
  }

  /** Returns the {@code llama_vocab}; use it between {@code guard().enter()} and {@code exit()}. */
  public MemorySegment vocab() {
    return vocab;
  }

  /**
   * Tells whether a rotation turns neighbouring elements together ({@code llama_model_rope_type});
   * else those half a head apart. Inside the guard of a context of the model.
   */
  public boolean turnsNeighbours() {
    return llama_model_rope_type(handle) == LLAMA_ROPE_TYPE_NORM;
  }

  /** Returns the vocabulary with the pieces that were asked for so far; one for all users. */
  public synchronized NativeVocabulary vocabulary() {
    NativeVocabulary known = vocabulary;
    if (known == null) {
      known = new NativeVocabulary(this);
      vocabulary = known;
    }
    return known;
  }

  /** Returns the guard of all calls on the model and its vocabulary. */
  public Guard guard() {
    return guard;
  }

  /**
   * Adds an owner.
   *
   * @throws AlreadyClosedException if the last owner is gone
   */
  public void retain() {
    int before;
    do {
      before = references.get();
      if (before == 0) {
        throw new AlreadyClosedException("the model is closed");
      }
    } while (!references.compareAndSet(before, before + 1));
  }

  /** Removes an owner; the last one frees the weights after the running calls. */
  public void release() {
    if (references.decrementAndGet() == 0 && guard.close()) {
      arena.close();
    }
  }

  /**
   * Loads a LoRA adapter; it is freed with the model at the latest.
   *
   * @param file a GGUF adapter file
   * @return the {@code llama_adapter_lora}
   */
  public MemorySegment loadLora(Path file) {
    guard.enter();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(ValueLayout.ADDRESS);
      ErrorBuffer error = new ErrorBuffer(call);
      int status =
          gatun_adapter_lora_load(
              handle,
              call.allocateFrom(file.toAbsolutePath().toString()),
              out,
              error.segment(),
              error.capacity());
      NativeLog.drain();
      Status.check("loading the LoRA adapter " + file, status, error, ModelLoadException::new);
      return CTypes.pointer(out, 0);
    } finally {
      guard.exit();
    }
  }

  /** Frees an adapter that no context applies. */
  public void freeLora(MemorySegment adapter) {
    guard.enter();
    try {
      llama_adapter_lora_free(adapter);
    } finally {
      guard.exit();
    }
  }
}
