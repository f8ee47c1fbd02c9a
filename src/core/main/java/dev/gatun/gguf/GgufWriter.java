package dev.gatun.gguf;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.UUID;

/**
 * Writes a GGUF file, version 3, little endian.
 *
 * <p>Tensor data is streamed, so a model larger than the heap can be written. The file appears
 * under its name only when it is complete: it is written beside it, forced to disk and renamed.
 *
 * <pre>{@code
 * new GgufWriter()
 *     .put("general.architecture", GgufValue.text("llama"))
 *     .tensor("token_embd.weight", GgmlType.F32, List.of(64L, 100L), out -> out.write(bytes))
 *     .write(path);
 * }</pre>
 *
 * <p>Mutable; one thread at a time.
 */
public final class GgufWriter {
  private static final int BUFFER_BYTES = 1 << 16;

  private final Map<String, GgufValue> metadata = new LinkedHashMap<>();
  private final Map<String, Pending> tensors = new LinkedHashMap<>();

  private record Pending(List<Long> dimensions, GgmlType type, long bytes, TensorData data) {}

  /** Produces a tensor's data when the file is written. */
  @FunctionalInterface
  public interface TensorData {
    /**
     * Writes exactly the tensor's number of bytes, in the type's little-endian layout.
     *
     * @param out where to; not to be closed
     * @throws IOException if writing fails
     */
    void writeTo(OutputStream out) throws IOException;
  }

  /** Starts a file with no metadata and no tensors. */
  public GgufWriter() {}

  /** Starts a file with the metadata and the tensors of another, whose parts become one file. */
  public static GgufWriter copyOf(GgufFile source) {
    GgufWriter writer = new GgufWriter();
    source
        .metadata()
        .forEach(
            (key, value) -> {
              if (!key.startsWith("split.")) {
                writer.put(key, value);
              }
            });
    for (GgufTensor tensor : source.tensors()) {
      writer.tensor(
          tensor.name(), tensor.type(), tensor.dimensions(), out -> copy(source, tensor, out));
    }
    return writer;
  }

  /** Sets a metadata value; a key that is there already keeps its place. */
  public GgufWriter put(String key, GgufValue value) {
    if (key.isEmpty() || key.indexOf('\0') >= 0) {
      throw new IllegalArgumentException("a metadata key must be a text without NUL characters");
    }
    if (key.equals(GgufParser.ALIGNMENT_KEY)
        && !(value instanceof GgufValue.Whole whole
            && whole.type() == GgufType.UINT32
            && whole.value() >= 8
            && Long.bitCount(whole.value()) == 1)) {
      throw new IllegalArgumentException(
          key + " must be a UINT32 that is a power of two of at least 8, not " + value);
    }
    metadata.put(key, Objects.requireNonNull(value, "value"));
    return this;
  }

  /** Removes a metadata value, if it is there. */
  public GgufWriter remove(String key) {
    metadata.remove(key);
    return this;
  }

  /**
   * Adds a tensor.
   *
   * @param name at most 63 bytes of UTF-8; not used before
   * @param type the element type
   * @param dimensions sizes, fastest-varying first, at most 4; the first a multiple of the block
   * @param data writes the elements
   * @throws IllegalArgumentException if the name or the shape is not allowed
   */
  public GgufWriter tensor(String name, GgmlType type, List<Long> dimensions, TensorData data) {
    long elements = 1;
    for (long size : dimensions) {
      if (size <= 0) {
        throw new IllegalArgumentException("tensor " + name + " has the dimensions " + dimensions);
      }
      elements = Math.multiplyExact(elements, size);
    }
    long row = dimensions.isEmpty() ? 1 : dimensions.getFirst();
    if (dimensions.size() > 4 || row % type.blockElements() != 0) {
      throw new IllegalArgumentException(
          "tensor " + name + " of type " + type + " cannot have the dimensions " + dimensions);
    }
    if (name.isEmpty() || name.indexOf('\0') >= 0 || name.length() > 63) {
      throw new IllegalArgumentException("a tensor's name has 1 to 63 bytes, not '" + name + "'");
    }
    Pending tensor = new Pending(List.copyOf(dimensions), type, type.bytes(elements), data);
    if (tensors.putIfAbsent(name, tensor) != null) {
      throw new IllegalArgumentException("tensor " + name + " was added before");
    }
    return this;
  }

  /** Returns the length the file will have, in bytes. */
  public long fileBytes() {
    byte[] header = header();
    long bytes = tensors.isEmpty() ? header.length : dataOffset(header);
    long alignment = alignment();
    for (Pending tensor : tensors.values()) {
      bytes += GgufParser.alignUp(tensor.bytes(), alignment);
    }
    return bytes;
  }

  /**
   * Writes the file. An existing file of this name is replaced at the end, in one step.
   *
   * @throws UncheckedIOException if writing fails; the target is then as it was before
   * @throws IllegalStateException if tensor data has another length than its shape says
   */
  public void write(Path target) {
    Path absolute = target.toAbsolutePath();
    Path folder = Objects.requireNonNull(absolute.getParent(), "a file lies in a folder");
    // Not createTempFile, whose files only their owner may read.
    Path temporary =
        folder.resolve("." + absolute.getFileName() + "." + UUID.randomUUID() + ".part");
    boolean moved = false;
    try {
      try (FileChannel channel =
          FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        writeTo(channel);
        channel.force(true);
      }
      move(temporary, absolute);
      moved = true;
    } catch (IOException e) {
      throw new UncheckedIOException(target + " cannot be written: " + e.getMessage(), e);
    } finally {
      if (!moved) {
        deleteQuietly(temporary);
      }
    }
  }

  private static void move(Path temporary, Path target) throws IOException {
    try {
      Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
    } catch (AtomicMoveNotSupportedException e) {
      Files.move(temporary, target, StandardCopyOption.REPLACE_EXISTING);
    }
  }

  private static void deleteQuietly(Path temporary) {
    try {
      Files.deleteIfExists(temporary);
    } catch (IOException e) {
      // The first failure is the one to report; a left-over .part file is harmless.
    }
  }

  private void writeTo(FileChannel channel) throws IOException {
    byte[] header = header();
    long alignment = alignment();
    Counted out = new Counted(Channels.newOutputStream(channel));
    out.write(header);
    out.pad(tensors.isEmpty() ? header.length : dataOffset(header));
    for (Map.Entry<String, Pending> entry : tensors.entrySet()) {
      Pending tensor = entry.getValue();
      long start = out.count;
      tensor.data().writeTo(out);
      if (out.count - start != tensor.bytes()) {
        throw new IllegalStateException(
            "the data of tensor "
                + entry.getKey()
                + " has "
                + (out.count - start)
                + " bytes instead of "
                + tensor.bytes());
      }
      out.pad(start + GgufParser.alignUp(tensor.bytes(), alignment));
    }
    out.flush();
  }

  private byte[] header() {
    long alignment = alignment();
    List<GgufEncoder.Row> rows = new ArrayList<>(tensors.size());
    long offset = 0;
    for (Map.Entry<String, Pending> entry : tensors.entrySet()) {
      Pending tensor = entry.getValue();
      rows.add(
          new GgufEncoder.Row(entry.getKey(), tensor.dimensions(), tensor.type().code(), offset));
      offset = Math.addExact(offset, GgufParser.alignUp(tensor.bytes(), alignment));
    }
    return GgufEncoder.header(List.copyOf(metadata.entrySet()), rows);
  }

  private long dataOffset(byte[] header) {
    return GgufParser.alignUp(header.length, alignment());
  }

  private long alignment() {
    OptionalLong stated =
        metadata.get(GgufParser.ALIGNMENT_KEY) instanceof GgufValue.Whole whole
            ? OptionalLong.of(whole.value())
            : OptionalLong.empty();
    return stated.orElse(GgufParser.DEFAULT_ALIGNMENT);
  }

  private static void copy(GgufFile source, GgufTensor tensor, OutputStream out)
      throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment data = source.mapTensor(tensor, arena);
      byte[] chunk = new byte[(int) Math.min(data.byteSize(), 1 << 20)];
      ByteBuffer view = ByteBuffer.wrap(chunk);
      for (long at = 0; at < data.byteSize(); at += chunk.length) {
        int length = (int) Math.min(chunk.length, data.byteSize() - at);
        view.clear().put(data.asSlice(at, length).asByteBuffer());
        out.write(chunk, 0, length);
      }
    }
  }

  /** Counts and buffers; closing is the channel's business. */
  private static final class Counted extends OutputStream {
    private final OutputStream out;
    private final byte[] buffer = new byte[BUFFER_BYTES];
    private int filled;
    private long count;

    Counted(OutputStream out) {
      this.out = out;
    }

    @Override
    public void write(int value) throws IOException {
      if (filled == buffer.length) {
        flush();
      }
      buffer[filled++] = (byte) value;
      count++;
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      Objects.checkFromIndexSize(offset, length, bytes.length);
      if (length > buffer.length - filled) {
        flush();
      }
      if (length >= buffer.length) {
        out.write(bytes, offset, length);
      } else {
        System.arraycopy(bytes, offset, buffer, filled, length);
        filled += length;
      }
      count += length;
    }

    void pad(long until) throws IOException {
      while (count < until) {
        write(0);
      }
    }

    @Override
    public void flush() throws IOException {
      out.write(buffer, 0, filled);
      filled = 0;
    }
  }
}
