package dev.gatun.gguf;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Writes files that {@link GgufWriter} refuses to write: field by field, with no check. */
final class RawGguf {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  static RawGguf header(long tensors, long keys) {
    return new RawGguf().ascii("GGUF").i32(3).i64(tensors).i64(keys);
  }

  RawGguf ascii(String text) {
    out.writeBytes(text.getBytes(StandardCharsets.UTF_8));
    return this;
  }

  RawGguf bytes(int... values) {
    for (int value : values) {
      out.write(value);
    }
    return this;
  }

  RawGguf i32(int value) {
    return put(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value));
  }

  RawGguf i64(long value) {
    return put(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value));
  }

  RawGguf text(String text) {
    return i64(text.getBytes(StandardCharsets.UTF_8).length).ascii(text);
  }

  /** A key and the code of its type; the value is to follow. */
  RawGguf key(String key, int type) {
    return text(key).i32(type);
  }

  RawGguf tensor(String name, int type, long offset, Long... dimensions) {
    text(name).i32(dimensions.length);
    List.of(dimensions).forEach(this::i64);
    return i32(type).i64(offset);
  }

  /** Fills up to the default alignment and adds this many bytes of data. */
  RawGguf data(int bytes) {
    while (out.size() % 32 != 0) {
      out.write(0);
    }
    out.writeBytes(new byte[bytes]);
    return this;
  }

  Path write(Path file) {
    try {
      return Files.write(file, out.toByteArray());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private RawGguf put(ByteBuffer buffer) {
    out.writeBytes(buffer.array());
    return this;
  }
}
