package dev.gatun;

import dev.gatun.error.AlreadyClosedException;
import dev.gatun.internal.NativeModel;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/**
 * A LoRA adapter, loaded for one model and applied to contexts with {@link LlamaContext#setLoras}.
 *
 * <p>Lifetime: it keeps its model's weights alive. It may be closed while contexts still apply it;
 * the last of them frees it.
 */
@ThreadSafe
public final class LoraAdapter implements AutoCloseable {
  private final NativeModel model;
  private final MemorySegment handle;
  private final Path file;
  private int uses;
  private boolean closed;

  LoraAdapter(NativeModel model, MemorySegment handle, Path file) {
    this.model = model;
    this.handle = handle;
    this.file = file;
    model.retain();
  }

  /** Returns the file it was loaded from. */
  public Path file() {
    return file;
  }

  NativeModel model() {
    return model;
  }

  MemorySegment handle() {
    return handle;
  }

  /** Counts a context that applies it. */
  synchronized void use() {
    if (closed) {
      throw new AlreadyClosedException("the LoRA adapter " + file + " is closed");
    }
    uses++;
  }

  /** Frees it if it was closed and this was the last context that applied it. */
  synchronized void unuse() {
    uses--;
    freeIfDone();
  }

  /** Frees the adapter once no context applies it. Idempotent. */
  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      freeIfDone();
    }
  }

  private void freeIfDone() {
    if (closed && uses == 0) {
      model.freeLora(handle);
      model.release();
    }
  }
}
