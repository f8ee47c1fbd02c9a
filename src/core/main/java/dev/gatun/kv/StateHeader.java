package dev.gatun.kv;

import dev.gatun.error.StateFormatException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * Header and section table of a state file. The layout is in {@code src/docs/state-files.md}.
 *
 * @param fileBytes length of the whole file
 * @param createdMillis milliseconds since 1970
 * @param sections in the file's order
 */
record StateHeader(long fileBytes, long createdMillis, List<Section> sections) {
  static final int VERSION = 1;
  static final int PAGE = 4096;
  static final int FIXED_BYTES = 40;

  /** "GATUNKV" and a byte that no text has. */
  private static final long MAGIC = 0x1A564B4E55544147L;

  private static final int ENTRY_BYTES = 32;
  static final int MAX_SECTIONS = 1 << 16;

  /** What a section holds; the code in the file is the ordinal plus one. */
  enum Kind {
    MODEL,
    SETTINGS,
    TOKENS,
    POSITIONS,
    CELLS,
    CHECKPOINT,
    LABEL;

    int code() {
      return ordinal() + 1;
    }
  }

  /**
   * A part of the file.
   *
   * @param kind what it holds
   * @param tokens how many tokens it is about; 0 where that says nothing
   * @param offset from the file's start
   * @param bytes length
   * @param crc CRC-32C of the bytes
   */
  record Section(Kind kind, int tokens, long offset, long bytes, int crc) {}

  /** Returns the length of a header with so many sections. */
  static int length(int sections) {
    return FIXED_BYTES + ENTRY_BYTES * sections + Long.BYTES;
  }

  /** Writes the header. */
  ByteBuffer encode() {
    int length = length(sections.size());
    ByteBuffer out = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
    out.putLong(MAGIC).putInt(VERSION).putInt(length).putLong(fileBytes).putLong(createdMillis);
    out.putInt(sections.size()).putInt(0);
    for (Section section : sections) {
      out.putInt(section.kind().code()).putInt(section.tokens());
      out.putLong(section.offset()).putLong(section.bytes());
      out.putInt(section.crc()).putInt(0);
    }
    CRC32C crc = new CRC32C();
    crc.update(out.array(), 0, out.position());
    return out.putInt((int) crc.getValue()).putInt(0).flip();
  }

  /**
   * Returns the header's length, from its first {@link #FIXED_BYTES}.
   *
   * @throws StateFormatException if they are not those of a state file of this version
   */
  static int lengthOf(ByteBuffer fixed, String what) {
    fixed.order(ByteOrder.LITTLE_ENDIAN);
    if (fixed.remaining() < FIXED_BYTES || fixed.getLong(0) != MAGIC) {
      throw new StateFormatException(what + " is not a state file; name one that Gatun saved");
    }
    int version = fixed.getInt(8);
    if (version != VERSION) {
      throw new StateFormatException(
          "%s has format version %d and this Gatun reads version %d; remove the file and save again"
              .formatted(what, version, VERSION));
    }
    int length = fixed.getInt(12);
    int count = fixed.getInt(32);
    if (count < 0 || count > MAX_SECTIONS || length != length(count)) {
      throw damaged(what, "a header of %d bytes with %d sections".formatted(length, count));
    }
    return length;
  }

  /**
   * Reads a whole header.
   *
   * @param header as many bytes as {@link #lengthOf} says
   * @param actualBytes the file's real length
   * @throws StateFormatException if it is damaged or says what cannot be
   */
  static StateHeader decode(ByteBuffer header, long actualBytes, String what) {
    header.order(ByteOrder.LITTLE_ENDIAN);
    int length = lengthOf(header, what);
    if (header.remaining() < length) {
      throw damaged(
          what, "only %d of %d bytes of its header".formatted(header.remaining(), length));
    }
    CRC32C crc = new CRC32C();
    crc.update(header.slice(0, length - Long.BYTES));
    if (header.getInt(length - Long.BYTES) != (int) crc.getValue()) {
      throw damaged(what, "a header whose checksum does not fit");
    }
    long fileBytes = header.getLong(16);
    if (fileBytes != actualBytes) {
      throw damaged(what, "%,d bytes where its header says %,d".formatted(actualBytes, fileBytes));
    }
    int count = header.getInt(32);
    List<Section> sections = new ArrayList<>(count);
    long end = length;
    for (int i = 0; i < count; i++) {
      int at = FIXED_BYTES + ENTRY_BYTES * i;
      int code = header.getInt(at);
      if (code < 1 || code > Kind.values().length) {
        throw damaged(what, "a section of the unknown kind %d".formatted(code));
      }
      Section section =
          new Section(
              Kind.values()[code - 1],
              header.getInt(at + 4),
              header.getLong(at + 8),
              header.getLong(at + 16),
              header.getInt(at + 24));
      if (section.offset() < end
          || section.bytes() < 0
          || section.bytes() > fileBytes
          || section.offset() > fileBytes - section.bytes()) {
        throw damaged(
            what,
            "a section %s of %,d bytes at %,d that does not fit in"
                .formatted(section.kind(), section.bytes(), section.offset()));
      }
      end = section.offset() + section.bytes();
      sections.add(section);
    }
    return new StateHeader(fileBytes, header.getLong(24), List.copyOf(sections));
  }

  static StateFormatException damaged(String what, String how) {
    return new StateFormatException(
        what + " has " + how + ": it is damaged; remove the file and save again");
  }
}
