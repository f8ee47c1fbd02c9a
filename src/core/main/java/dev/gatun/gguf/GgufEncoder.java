package dev.gatun.gguf;

import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/** Turns metadata and tensor entries into the bytes of a GGUF header. Checks nothing. */
final class GgufEncoder {
  static final int VERSION = 3;

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  private GgufEncoder() {}

  /** One row of the tensor table; {@code offset} counts from the start of the data. */
  record Row(String name, List<Long> dimensions, int typeCode, long offset) {}

  /** Returns everything before the padding that precedes the tensor data. */
  static byte[] header(List<Map.Entry<String, GgufValue>> metadata, List<Row> rows) {
    GgufEncoder encoder = new GgufEncoder();
    encoder.int32(GgufMagic.GGUF);
    encoder.int32(VERSION);
    encoder.int64(rows.size());
    encoder.int64(metadata.size());
    for (Map.Entry<String, GgufValue> entry : metadata) {
      encoder.text(entry.getKey());
      encoder.int32(entry.getValue().type().code());
      encoder.value(entry.getValue());
    }
    for (Row row : rows) {
      encoder.text(row.name());
      encoder.int32(row.dimensions().size());
      row.dimensions().forEach(encoder::int64);
      encoder.int32(row.typeCode());
      encoder.int64(row.offset());
    }
    return encoder.out.toByteArray();
  }

  private void value(GgufValue value) {
    switch (value) {
      case GgufValue.Whole whole -> number(whole.value(), whole.type().bytes());
      case GgufValue.Real real -> {
        if (real.type() == GgufType.FLOAT32) {
          int32(Float.floatToRawIntBits((float) real.value()));
        } else {
          int64(Double.doubleToRawLongBits(real.value()));
        }
      }
      case GgufValue.Bool bool -> out.write(bool.value() ? 1 : 0);
      case GgufValue.Text text -> text(text.value());
      case GgufArray array -> array(array);
    }
  }

  private void array(GgufArray array) {
    int32(array.elementType().code());
    int64(array.size());
    switch (array.elementType()) {
      case ARRAY -> {
        for (int i = 0; i < array.size(); i++) {
          value(array.get(i));
        }
      }
      case STRING -> {
        MemorySegment content = array.content();
        long at = 0;
        for (int i = 0; i < array.size(); i++) {
          int length = array.textBytes(i);
          int64(length);
          bytes(content.asSlice(at, length));
          at += length;
        }
      }
      default -> bytes(array.content());
    }
  }

  private void bytes(MemorySegment content) {
    out.writeBytes(content.toArray(ValueLayout.JAVA_BYTE));
  }

  private void text(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    int64(bytes.length);
    out.writeBytes(bytes);
  }

  private void int32(int value) {
    number(value, Integer.BYTES);
  }

  private void int64(long value) {
    number(value, Long.BYTES);
  }

  private void number(long value, int bytes) {
    for (int i = 0; i < bytes; i++) {
      out.write((int) (value >>> (8 * i)));
    }
  }
}
