package dev.gatun.gguf;

/** Strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629, section 4). */
final class Utf8 {
  private Utf8() {}

  static final int VALID = Integer.MIN_VALUE;

  /** Returns {@link #VALID}, or the offset from {@code start} of the first malformed sequence. */
  static int firstMalformed(byte[] text, int start, int length) {
    int at = 0;
    while (at < length) {
      int first = text[start + at] & 0xFF;
      if (first < 0x80) {
        at++;
        continue;
      }
      int more;
      int low = 0x80;
      int high = 0xBF;
      if (first >= 0xC2 && first <= 0xDF) {
        more = 1;
      } else if (first >= 0xE0 && first <= 0xEF) {
        more = 2;
        low = first == 0xE0 ? 0xA0 : 0x80;
        high = first == 0xED ? 0x9F : 0xBF;
      } else if (first >= 0xF0 && first <= 0xF4) {
        more = 3;
        low = first == 0xF0 ? 0x90 : 0x80;
        high = first == 0xF4 ? 0x8F : 0xBF;
      } else {
        return at;
      }
      if (at + more >= length) {
        return at;
      }
      for (int i = 1; i <= more; i++) {
        int next = text[start + at + i] & 0xFF;
        if (next < (i == 1 ? low : 0x80) || next > (i == 1 ? high : 0xBF)) {
          return at;
        }
      }
      at += more + 1;
    }
    return VALID;
  }
}
