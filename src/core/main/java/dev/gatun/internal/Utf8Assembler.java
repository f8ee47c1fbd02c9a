package dev.gatun.internal;

import java.nio.charset.StandardCharsets;

/**
 * Turns bytes that arrive in pieces into text without breaking a character: the bytes of an
 * incomplete one wait for the next piece. All pieces together give exactly what {@code new
 * String(bytes, UTF_8)} gives for all bytes together, replacement characters included.
 *
 * <p>Not thread-safe.
 */
public final class Utf8Assembler {
  private static final byte[] NOTHING = {};

  /** The start of a character: at most 3 bytes. */
  private byte[] pending = NOTHING;

  /** Tells whether bytes wait for the rest of their character. */
  public boolean isPending() {
    return pending.length > 0;
  }

  /** Takes bytes and returns the text that is certain now; the array is not kept. */
  public String append(byte[] bytes) {
    byte[] all = bytes;
    if (pending.length > 0) {
      all = new byte[pending.length + bytes.length];
      System.arraycopy(pending, 0, all, 0, pending.length);
      System.arraycopy(bytes, 0, all, pending.length, bytes.length);
    }
    int complete = all.length - incompleteSuffix(all);
    if (complete == all.length) {
      pending = NOTHING;
    } else {
      pending = new byte[all.length - complete];
      System.arraycopy(all, complete, pending, 0, pending.length);
    }
    return complete == 0 ? "" : new String(all, 0, complete, StandardCharsets.UTF_8);
  }

  /** Returns what an incomplete character at the end becomes, and starts anew. */
  public String finish() {
    String rest = pending.length == 0 ? "" : new String(pending, StandardCharsets.UTF_8);
    pending = NOTHING;
    return rest;
  }

  /** Forgets the bytes that wait. */
  public void clear() {
    pending = NOTHING;
  }

  /**
   * Returns how many bytes at the end begin a character and may still be completed: 0 to 3. A lead
   * byte always begins a new character for a decoder, so the bytes before it can be decoded without
   * it.
   */
  public static int incompleteSuffix(byte[] bytes) {
    int from = Math.max(0, bytes.length - 3);
    for (int i = bytes.length - 1; i >= from; i--) {
      int b = bytes[i] & 0xff;
      if (b >= 0xc2 && b <= 0xf4) {
        int length = b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : 2;
        int have = bytes.length - i;
        return have < length ? have : 0;
      }
      if (b < 0x80 || b > 0xbf) {
        return 0;
      }
    }
    return 0;
  }
}
