package dev.gatun.gguf;

import dev.gatun.error.GgufFormatException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/** Says what a file is that is not GGUF. */
final class GgufMagic {
  static final int GGUF = 0x46554747;

  private GgufMagic() {}

  /** Returns normally when the file starts as a GGUF file does. */
  static void check(MemorySegment file, String name) {
    if (file.byteSize() == 0) {
      throw new GgufFormatException(name + " is empty; download it again");
    }
    byte[] head = new byte[(int) Math.min(file.byteSize(), 512)];
    MemorySegment.copy(file, ValueLayout.JAVA_BYTE, 0, head, 0, head.length);
    if (startsWith(head, "GGUF")) {
      return;
    }
    throw new GgufFormatException(name + " is not a GGUF file: " + describe(head));
  }

  private static String describe(byte[] head) {
    String text = new String(head, StandardCharsets.ISO_8859_1);
    String lower = text.stripLeading().toLowerCase(Locale.ROOT);
    if (lower.startsWith("<!doctype") || lower.startsWith("<html") || lower.startsWith("<?xml")) {
      return "it is a web page, probably an error page or a login page saved under this name;"
          + " download the file itself";
    }
    if (lower.startsWith("version https://git-lfs")) {
      return "it is a Git LFS pointer; run 'git lfs pull' or download the file itself";
    }
    if (head.length > 9 && head[8] == '{' && head[7] == 0 && head[6] == 0 && head[5] == 0) {
      return "it looks like safetensors; convert it to GGUF first (convert_hf_to_gguf.py of"
          + " llama.cpp)";
    }
    if (startsWith(head, "PK")) {
      return "it is a zip archive, as PyTorch checkpoints are; convert it to GGUF first"
          + " (convert_hf_to_gguf.py of llama.cpp)";
    }
    if (head.length > 1 && head[0] == (byte) 0x80 && head[1] >= 2 && head[1] <= 5) {
      return "it is a Python pickle, as old PyTorch checkpoints are; convert it to GGUF first";
    }
    if (startsWith(head, "tjgg") || startsWith(head, "fmgg") || startsWith(head, "lmgg")) {
      return "it has the old GGML format from before August 2023; download a GGUF version of the"
          + " model";
    }
    if (startsWith(head, "FUGG")) {
      return "it is a byte-swapped GGUF file; convert it again for little endian";
    }
    if (startsWith(head, new String(new char[] {0x1F, 0x8B}))) {
      return "it is gzip-compressed; unpack it first";
    }
    if (lower.startsWith("{") || lower.startsWith("[")) {
      return "it is JSON, perhaps an error message or a configuration saved under this name;"
          + " download the file itself";
    }
    boolean zeros = true;
    for (byte value : head) {
      zeros &= value == 0;
    }
    if (zeros) {
      return "it starts with zeros, as an unfinished download does; download it again";
    }
    StringBuilder shown = new StringBuilder();
    for (int i = 0; i < Math.min(4, head.length); i++) {
      shown.append(String.format(Locale.ROOT, "%s%02x", i == 0 ? "" : " ", head[i] & 0xFF));
    }
    return "it starts with the bytes " + shown + " instead of 47 47 55 46; check the path";
  }

  private static boolean startsWith(byte[] head, String magic) {
    if (head.length < magic.length()) {
      return false;
    }
    for (int i = 0; i < magic.length(); i++) {
      if ((head[i] & 0xFF) != magic.charAt(i)) {
        return false;
      }
    }
    return true;
  }
}
