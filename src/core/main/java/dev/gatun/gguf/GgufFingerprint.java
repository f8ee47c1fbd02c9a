package dev.gatun.gguf;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Map;

/** SHA-256 over metadata and tensor table, keys and tensors each with their lengths. */
final class GgufFingerprint {
  private final MessageDigest digest;
  private final ByteBuffer number = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);

  private GgufFingerprint() {
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  static String of(GgufFile file) {
    GgufFingerprint print = new GgufFingerprint();
    for (Map.Entry<String, GgufValue> entry : file.metadata().entrySet()) {
      String key = entry.getKey();
      if (!key.startsWith("split.") && !key.equals(GgufParser.ALIGNMENT_KEY)) {
        print.add(key);
        print.add(entry.getValue());
      }
    }
    for (GgufTensor tensor : file.tensors()) {
      print.add(tensor.name());
      print.add(tensor.type().code());
      print.add(tensor.dimensions().size());
      tensor.dimensions().forEach(print::add);
    }
    return HexFormat.of().formatHex(print.digest.digest());
  }

  private void add(long value) {
    digest.update(number.clear().putLong(value).flip());
  }

  private void add(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    add(bytes.length);
    digest.update(bytes);
  }

  private void add(GgufValue value) {
    add(value.type().code());
    switch (value) {
      case GgufValue.Whole whole -> add(whole.value());
      case GgufValue.Real real -> add(Double.doubleToRawLongBits(real.value()));
      case GgufValue.Bool bool -> add(bool.value() ? 1 : 0);
      case GgufValue.Text text -> add(text.value());
      case GgufArray array -> add(array);
    }
  }

  private void add(GgufArray array) {
    add(array.elementType().code());
    add(array.size());
    if (array.elementType() == GgufType.ARRAY) {
      for (int i = 0; i < array.size(); i++) {
        add(array.get(i));
      }
      return;
    }
    if (array.elementType() == GgufType.STRING) {
      for (int i = 0; i < array.size(); i++) {
        add(array.textBytes(i));
      }
    }
    MemorySegment content = array.content();
    byte[] chunk = new byte[(int) Math.min(content.byteSize(), 1 << 16)];
    for (long at = 0; at < content.byteSize(); at += chunk.length) {
      int length = (int) Math.min(chunk.length, content.byteSize() - at);
      MemorySegment.copy(content, ValueLayout.JAVA_BYTE, at, chunk, 0, length);
      digest.update(chunk, 0, length);
    }
  }
}
