package dev.gatun;

import dev.gatun.error.AlreadyClosedException;
import dev.gatun.internal.NativeModel;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

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
  private @Nullable String identity;
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

  /**
   * Returns what tells it from others, for the comparison of saved states. The first call reads the
   * file.
   *
   * @throws UncheckedIOException if the file is not there any more
   */
  synchronized String identity() {
    String known = identity;
    if (known == null) {
      CRC32C crc = new CRC32C();
      byte[] chunk = new byte[1 << 16];
      try (InputStream in = Files.newInputStream(file)) {
        for (int n; (n = in.read(chunk)) >= 0; ) {
          crc.update(chunk, 0, n);
        }
      } catch (IOException e) {
        throw new UncheckedIOException("cannot read the LoRA adapter " + file + ": " + e, e);
      }
      known = "%s %08x".formatted(file.getFileName(), crc.getValue());
      identity = known;
    }
    return known;
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
