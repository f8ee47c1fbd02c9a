package dev.gatun;

import dev.gatun.chat.ChatTemplate;
import dev.gatun.error.AlreadyClosedException;
import dev.gatun.error.GgufFormatException;
import dev.gatun.error.ModelLoadException;
import dev.gatun.gguf.GgufFile;
import dev.gatun.gguf.ModelMetadata;
import dev.gatun.internal.ModelInfo;
import dev.gatun.internal.ModelParameters;
import dev.gatun.internal.NativeChatTemplate;
import dev.gatun.internal.NativeModel;
import dev.gatun.offload.Device;
import dev.gatun.offload.GpuLayers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The weights and the vocabulary of a model. Contexts are made from it.
 *
 * <p>Lifetime: {@link #close()} refuses new contexts; the weights are freed when the last context
 * made from it is closed as well. Models, contexts and sessions may be closed in any order, twice,
 * and from any thread.
 */
@ThreadSafe
public final class LlamaModel implements AutoCloseable {
  private final GgufFile file;
  private final ModelMetadata metadata;
  private final NativeModel model;
  private final ModelOptions options;
  private final ModelInfo info;
  private final Tokenizer tokenizer;
  private final AtomicBoolean closed = new AtomicBoolean();

  private LlamaModel(GgufFile file, NativeModel model, ModelOptions options) {
    this.file = file;
    this.metadata = file.model();
    this.model = model;
    this.options = options;
    this.info = ModelInfo.of(model);
    this.tokenizer = new Tokenizer(model);
  }

  /**
   * Loads a model. Splits named {@code …-00001-of-0000N.gguf} are found beside the first one. The
   * file is validated in Java before native code sees it.
   *
   * @param file a GGUF file
   * @param options how
   * @throws ModelLoadException if the file is missing or the native side refuses it
   * @throws GgufFormatException if the file is damaged or no GGUF file
   * @throws dev.gatun.error.OperationCancelledException if it was cancelled
   * @throws dev.gatun.error.CallbackException if the progress listener threw
   */
  public static LlamaModel load(Path file, ModelOptions options) {
    if (Files.isDirectory(file)) {
      throw new ModelLoadException(file + " is a folder; name the .gguf file in it");
    }
    if (!Files.exists(file)) {
      throw new ModelLoadException("there is no file " + file + "; check the path");
    }
    if (!Files.isReadable(file)) {
      throw new ModelLoadException(file + " may not be read by this user");
    }
    GgufFile gguf = GgufFile.open(file).requireLoadable();
    return load(gguf, options);
  }

  /**
   * Loads a model with the default options.
   *
   * @param file a GGUF file
   */
  public static LlamaModel load(Path file) {
    return load(file, ModelOptions.defaults());
  }

  private static LlamaModel load(GgufFile file, ModelOptions options) {
    LlamaRuntime.load();
    boolean listens =
        options.progress() != ModelOptions.NO_PROGRESS
            || options.cancellation() != Cancellation.never();
    ModelParameters parameters =
        new ModelParameters(
            // Not a pattern switch: its first use costs a cold start milliseconds.
            options.gpuLayers() instanceof GpuLayers.Count count
                ? count.layers()
                : options.gpuLayers() instanceof GpuLayers.None ? 0 : -1,
            options.loadMode().nativeValue(),
            options.vocabularyOnly() || file.model().isVocabularyOnly(),
            options.checkTensors(),
            options.devices().stream().map(Device::name).toList(),
            fraction ->
                !options.cancellation().isCancelled() && options.progress().onProgress(fraction),
            listens);
    List<Path> paths = file.parts().stream().map(GgufFile.Part::path).toList();
    NativeModel model = NativeModel.load(paths, parameters);
    try {
      return new LlamaModel(file, model, options);
    } catch (RuntimeException | Error e) {
      model.release();
      throw e;
    }
  }

  /**
   * Makes a context: KV cells and compute buffers.
   *
   * @throws dev.gatun.error.ContextCreateException if the options contradict the model or the
   *     memory is not there
   * @throws AlreadyClosedException if this model is closed
   */
  public LlamaContext newContext(ContextOptions contextOptions) {
    requireOpen();
    return new LlamaContext(this, contextOptions);
  }

  /**
   * Loads a LoRA adapter for this model.
   *
   * @param adapter a GGUF adapter file
   * @throws ModelLoadException if it is missing or does not fit the model
   */
  public LoraAdapter loadLora(Path adapter) {
    requireOpen();
    if (!Files.isRegularFile(adapter)) {
      throw new ModelLoadException("there is no LoRA adapter file " + adapter + "; check the path");
    }
    GgufFile.open(adapter).requireLoadableAdapter(file);
    return new LoraAdapter(model, model.loadLora(adapter), adapter);
  }

  /** Returns the tokenizer. It works as long as the weights live. */
  public Tokenizer tokenizer() {
    return tokenizer;
  }

  /**
   * Returns the chat template in the model's file.
   *
   * @throws dev.gatun.error.ChatTemplateException if the file has none, or it does not parse
   */
  public ChatTemplate chatTemplate() {
    return NativeChatTemplate.ofModel(model);
  }

  /**
   * Returns another chat template, run with this model's special tokens.
   *
   * @param source Jinja source
   * @throws dev.gatun.error.ChatTemplateException if it does not parse
   */
  public ChatTemplate chatTemplate(String source) {
    return NativeChatTemplate.ofSource(model, source);
  }

  /** Returns what the file says about the model. */
  public ModelMetadata metadata() {
    return metadata;
  }

  /** Returns the file as the Java reader sees it. */
  public GgufFile file() {
    return file;
  }

  /** Returns the options it was loaded with. */
  public ModelOptions options() {
    return options;
  }

  /** Returns llama.cpp's one-line description, such as {@code llama ?B F16}. */
  public String description() {
    return info.description();
  }

  /** Returns the size of all tensors, in bytes. */
  public long sizeBytes() {
    return info.sizeBytes();
  }

  /** Returns the number of parameters. */
  public long parameterCount() {
    return info.parameterCount();
  }

  /** Returns the trained context length in tokens, as read when the model was loaded. */
  public int trainedContextTokens() {
    return info.trainedContextTokens();
  }

  /** Returns the number of tokens in the vocabulary. */
  public int vocabularySize() {
    return info.vocabularySize();
  }

  /** Returns the width of the embeddings. */
  public int embeddingLength() {
    return info.embeddingLength();
  }

  /** Returns the number of layers. */
  public int layerCount() {
    return info.layerCount();
  }

  /** Returns the width of the sliding window in tokens; 0 when the model has none. */
  public int slidingWindowTokens() {
    return info.slidingWindowTokens();
  }

  /** Tells whether the model keeps a recurrent state in place of KV cells. */
  public boolean isRecurrent() {
    return info.recurrent();
  }

  /** Tells whether the model has recurrent layers and attention layers. */
  public boolean isHybrid() {
    return info.hybrid();
  }

  /** Tells whether the model has an encoder, as T5 has. */
  public boolean hasEncoder() {
    return info.encoder();
  }

  /**
   * Tells whether every layer is on the CPU: none is wanted elsewhere, or there is nothing else.
   * Scalings that llama.cpp's parameters cannot express need that.
   */
  public boolean isOnCpu() {
    if (options.gpuLayers() instanceof GpuLayers.None) {
      return true;
    }
    List<Device> devices =
        options.devices().isEmpty() ? LlamaRuntime.load().devices() : options.devices();
    return devices.stream()
        .allMatch(d -> d.kind() == Device.Kind.CPU || d.kind() == Device.Kind.ACCELERATOR);
  }

  /** Tells whether {@link #close()} was called. */
  public boolean isClosed() {
    return closed.get();
  }

  /** Refuses new contexts, and frees the weights when no context is open. Idempotent. */
  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      model.release();
    }
  }

  NativeModel nativeModel() {
    return model;
  }

  private void requireOpen() {
    if (closed.get()) {
      throw new AlreadyClosedException("the model " + file.path().getFileName() + " is closed");
    }
  }

  @Override
  public String toString() {
    return "LlamaModel[" + file.path().getFileName() + ", " + info.description() + "]";
  }
}
