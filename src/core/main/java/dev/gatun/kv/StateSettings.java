package dev.gatun.kv;

import dev.gatun.error.StateFormatException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * What must be equal for cells to mean the same: one line of text for each setting, in plain words,
 * so that a refusal can say what differs.
 *
 * <p>Immutable; any thread.
 *
 * @param entries setting to value, sorted
 */
public record StateSettings(Map<String, String> entries) {
  static final int MAX_ENTRIES = 64;
  static final int MAX_TEXT_BYTES = 1 << 16;

  /** Sorts and copies the settings. */
  public StateSettings {
    entries = Collections.unmodifiableMap(new TreeMap<>(entries));
    if (entries.size() > MAX_ENTRIES) {
      throw new IllegalArgumentException(
          "a state has at most %d settings, not %d".formatted(MAX_ENTRIES, entries.size()));
    }
    entries.forEach(
        (key, value) -> {
          requireShort(key);
          requireShort(value);
        });
  }

  /**
   * Returns what differs, one line for each setting.
   *
   * @param here the settings of the one who wants to use the cells
   * @return such as {@code key type F16 in the state, Q8_0 here}; empty when all are equal
   */
  public List<String> differences(StateSettings here) {
    List<String> lines = new ArrayList<>();
    TreeSet<String> keys = new TreeSet<>(entries.keySet());
    keys.addAll(here.entries.keySet());
    for (String key : keys) {
      String ours = entries.getOrDefault(key, "nothing");
      String theirs = here.entries.getOrDefault(key, "nothing");
      if (!ours.equals(theirs)) {
        lines.add("%s %s in the state, %s here".formatted(key, ours, theirs));
      }
    }
    return List.copyOf(lines);
  }

  /** Writes the settings as a section of a state file. */
  byte[] encode() {
    List<byte[]> texts = new ArrayList<>();
    int size = Integer.BYTES;
    for (Map.Entry<String, String> entry : entries.entrySet()) {
      for (String text : List.of(entry.getKey(), entry.getValue())) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        texts.add(bytes);
        size += Integer.BYTES + bytes.length;
      }
    }
    ByteBuffer out = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    out.putInt(entries.size());
    texts.forEach(text -> out.putInt(text.length).put(text));
    return out.array();
  }

  /**
   * Reads a section of a state file.
   *
   * @throws StateFormatException if it is not as {@link #encode} writes it
   */
  static StateSettings decode(byte[] section, String what) {
    ByteBuffer in = ByteBuffer.wrap(section).order(ByteOrder.LITTLE_ENDIAN);
    int count = in.remaining() < Integer.BYTES ? -1 : in.getInt();
    if (count < 0 || count > MAX_ENTRIES) {
      throw malformed(what);
    }
    Map<String, String> entries = new TreeMap<>();
    for (int i = 0; i < count; i++) {
      String key = text(in, what);
      if (entries.put(key, text(in, what)) != null) {
        throw malformed(what);
      }
    }
    if (in.hasRemaining()) {
      throw malformed(what);
    }
    return new StateSettings(entries);
  }

  private static String text(ByteBuffer in, String what) {
    int length = in.remaining() < Integer.BYTES ? -1 : in.getInt();
    if (length < 0 || length > MAX_TEXT_BYTES || length > in.remaining()) {
      throw malformed(what);
    }
    ByteBuffer bytes = in.slice(in.position(), length);
    in.position(in.position() + length);
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw malformed(what);
    }
  }

  private static StateFormatException malformed(String what) {
    return new StateFormatException(
        what + " has a damaged list of settings; remove the file and save again");
  }

  private static void requireShort(String text) {
    Objects.requireNonNull(text, "text");
    if (text.getBytes(StandardCharsets.UTF_8).length > MAX_TEXT_BYTES) {
      throw new IllegalArgumentException(
          "a setting of a state may have at most %,d bytes".formatted(MAX_TEXT_BYTES));
    }
  }
}
