package dev.gatun.kv;

import dev.gatun.error.StateFormatException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * A saved session in a file: what it is of, its tokens, their cells and checkpoints, each part with
 * a checksum. The format is described in {@code src/docs/state-files.md}.
 *
 * <p>Opening reads the small parts and maps the cells; nothing of them is read before they are
 * used. (On Windows they are read at once.) A reader takes no lock: writers put a new file in place
 * of the old one, and who has the old one open keeps it. Immutable; any thread. The mapping lives
 * as long as something refers to it.
 *
 * <p>The checksums find damage, not malice: whoever can write the file can also make them fit.
 */
public final class StateFile {
  private static final int MAX_TOKENS = 1 << 28;
  private static final int MAX_SMALL_BYTES = 16 << 20;
  static final int MAX_LABEL_BYTES = StateSettings.MAX_TEXT_BYTES;
  private static final int CHUNK = 1 << 30;
  static final boolean WINDOWS = System.getProperty("os.name", "").startsWith("Windows");

  private static final String FINGERPRINT = "fingerprint";
  private static final String NAME = "name";
  private static final String CONTEXT = "context tokens";

  private final StateFacts facts;
  private final StateContent content;
  private final List<Mapped> large;

  private record Mapped(StateHeader.Section section, MemorySegment bytes) {}

  private StateFile(StateFacts facts, StateContent content, List<Mapped> large) {
    this.facts = facts;
    this.content = content;
    this.large = large;
  }

  /**
   * Opens a state file. The cells are mapped and not read: {@link #verifyCells} compares their
   * checksums.
   *
   * @throws StateFormatException if it is missing, damaged or no state file
   */
  public static StateFile open(Path path) {
    return open(path, !WINDOWS); // which would not let a mapped file be replaced
  }

  static StateFile open(Path path, boolean mapped) {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      StateHeader header = header(channel, path);
      Small small = small(channel, header, path);
      Arena arena = Arena.ofAuto();
      MemorySegment cells = MemorySegment.NULL;
      List<StateCheckpoint> checkpoints = new ArrayList<>();
      List<Mapped> large = new ArrayList<>();
      for (StateHeader.Section section : header.sections()) {
        if (section.kind() != StateHeader.Kind.CELLS
            && section.kind() != StateHeader.Kind.CHECKPOINT) {
          continue;
        }
        MemorySegment bytes =
            section.bytes() == 0
                ? MemorySegment.NULL
                : mapped
                    ? channel.map(
                        FileChannel.MapMode.READ_ONLY, section.offset(), section.bytes(), arena)
                    : copied(channel, section, arena, path);
        large.add(new Mapped(section, bytes));
        if (section.kind() == StateHeader.Kind.CELLS) {
          cells = bytes;
        } else {
          checkpoints.add(new StateCheckpoint(section.tokens(), bytes));
        }
      }
      StateFacts facts = small.facts;
      StateContent content =
          new StateContent(
              facts.fingerprint(),
              facts.modelName(),
              facts.contextTokens(),
              facts.settings(),
              small.tokens,
              small.positions,
              facts.decoded(),
              cells,
              checkpoints,
              facts.label(),
              facts.created());
      return new StateFile(facts, content, List.copyOf(large));
    } catch (IllegalArgumentException e) {
      throw StateHeader.damaged(
          path.toString(), "parts that do not agree (" + e.getMessage() + ")");
    } catch (NoSuchFileException e) {
      throw missing(path, e);
    } catch (IOException e) {
      throw unreadable(path, e);
    }
  }

  /**
   * Reads what a state file says about itself; its cells are neither read nor mapped.
   *
   * @throws StateFormatException if it is missing, damaged or no state file
   */
  public static StateFacts inspect(Path path) {
    return small(path, path).facts;
  }

  /** Returns the tokens of a state file; its cells are neither read nor mapped. */
  static int[] tokens(Path path) {
    return small(path, path).tokens;
  }

  /** As {@link #inspect}, of a file that is going to have another name. */
  static StateFacts inspect(Path path, Path name) {
    return small(path, name).facts;
  }

  private static Small small(Path path, Path name) {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      return small(channel, header(channel, name), name);
    } catch (NoSuchFileException e) {
      throw missing(name, e);
    } catch (IOException e) {
      throw unreadable(name, e);
    }
  }

  /**
   * Reads the whole file and compares every checksum.
   *
   * @throws StateFormatException if it is missing, damaged or no state file
   */
  public static StateFacts verify(Path path) {
    StateFile file = open(path);
    file.verifyCells();
    return file.facts;
  }

  /**
   * Writes a state file: whole, or not at all. It is written beside its place, forced to the disk
   * and then put in place of what is there, so that a fault at any moment leaves the old file or
   * the new one. Only this user may read it.
   *
   * @param path the file; its folder must exist
   * @return what the file says about itself
   * @throws UncheckedIOException if it cannot be written; the old file stays, unless the new one is
   *     in place and only the folder could not be forced to the disk
   * @throws IllegalArgumentException if it has a label or checkpoints that no file can hold; the
   *     old file stays
   */
  public static StateFacts write(Path path, StateContent content) {
    return StateWriter.write(path, content);
  }

  /** Returns what the file says about itself. */
  public StateFacts facts() {
    return facts;
  }

  /** Returns everything in the file; the cells stand in the mapping. */
  public StateContent content() {
    return content;
  }

  /**
   * Reads the cells and the checkpoints once and compares their checksums.
   *
   * @throws StateFormatException if one does not fit
   */
  public void verifyCells() {
    for (Mapped part : large) {
      int crc;
      try {
        crc = crc(part.bytes());
      } catch (InternalError e) {
        // What the JVM throws when a mapped file has become shorter.
        throw new StateFormatException(
            facts.path() + " changed while it was read; save to another file and rename", e);
      }
      if (crc != part.section().crc()) {
        throw StateHeader.damaged(
            facts.path().toString(),
            part.section().kind() == StateHeader.Kind.CELLS
                ? "cells whose checksum does not fit"
                : "a checkpoint after %,d tokens whose checksum does not fit"
                    .formatted(part.section().tokens()));
      }
    }
  }

  static int crc(MemorySegment bytes) {
    CRC32C crc = new CRC32C();
    for (long at = 0; at < bytes.byteSize(); at += CHUNK) {
      crc.update(bytes.asSlice(at, Math.min(CHUNK, bytes.byteSize() - at)).asByteBuffer());
    }
    return (int) crc.getValue();
  }

  static byte[] model(StateContent content) {
    return new StateSettings(
            Map.of(
                FINGERPRINT,
                content.fingerprint(),
                NAME,
                content.modelName(),
                CONTEXT,
                Integer.toString(content.contextTokens())))
        .encode();
  }

  // ---- reading
  // ------------------------------------------------------------------------------------

  private record Small(StateFacts facts, int[] tokens, int[] positions) {}

  private static StateHeader header(FileChannel channel, Path path) throws IOException {
    String what = path.toString();
    long size = channel.size();
    ByteBuffer fixed = read(channel, 0, (int) Math.min(size, StateHeader.FIXED_BYTES), path);
    int length = StateHeader.lengthOf(fixed, what);
    ByteBuffer header = read(channel, 0, (int) Math.min(size, length), path);
    return StateHeader.decode(header, size, what);
  }

  private static Small small(FileChannel channel, StateHeader header, Path path)
      throws IOException {
    String what = path.toString();
    Map<StateHeader.Kind, StateHeader.Section> found = new EnumMap<>(StateHeader.Kind.class);
    List<Integer> checkpoints = new ArrayList<>();
    long checkpointBytes = 0;
    for (StateHeader.Section section : header.sections()) {
      if (section.kind() == StateHeader.Kind.CHECKPOINT) {
        checkpoints.add(section.tokens());
        checkpointBytes += section.bytes();
      } else if (found.put(section.kind(), section) != null) {
        throw StateHeader.damaged(what, "two sections " + section.kind());
      }
    }
    for (StateHeader.Kind kind : StateHeader.Kind.values()) {
      if (kind != StateHeader.Kind.CHECKPOINT && !found.containsKey(kind)) {
        throw StateHeader.damaged(what, "no section " + kind);
      }
    }
    StateSettings model =
        StateSettings.decode(
            bytes(channel, found.get(StateHeader.Kind.MODEL), MAX_SMALL_BYTES, path), what);
    StateSettings settings =
        StateSettings.decode(
            bytes(channel, found.get(StateHeader.Kind.SETTINGS), MAX_SMALL_BYTES, path), what);
    byte[] label = bytes(channel, found.get(StateHeader.Kind.LABEL), MAX_LABEL_BYTES, path);
    int[] tokens = ints(channel, found.get(StateHeader.Kind.TOKENS), path);
    int[] positions = ints(channel, found.get(StateHeader.Kind.POSITIONS), path);
    StateHeader.Section cells = found.get(StateHeader.Kind.CELLS);
    requireSound(tokens, positions, cells, checkpoints, what);
    StateFacts facts =
        new StateFacts(
            path,
            header.fileBytes(),
            StateHeader.VERSION,
            instant(header.createdMillis(), what),
            text(label, what),
            model.entries().getOrDefault(FINGERPRINT, ""),
            model.entries().getOrDefault(NAME, ""),
            contextTokens(model, what),
            settings,
            tokens.length,
            cells.tokens(),
            cells.bytes(),
            List.copyOf(checkpoints),
            checkpointBytes);
    return new Small(facts, tokens, positions);
  }

  private static int contextTokens(StateSettings model, String what) {
    try {
      int tokens = Integer.parseInt(model.entries().getOrDefault(CONTEXT, ""));
      if (tokens >= 0 && tokens <= StateContent.MAX_CONTEXT) {
        return tokens;
      }
    } catch (NumberFormatException _) {
      // said below
    }
    throw StateHeader.damaged(what, "no size of a context");
  }

  private static void requireSound(
      int[] tokens,
      int[] positions,
      StateHeader.Section cells,
      List<Integer> checkpoints,
      String what) {
    if (positions.length != tokens.length) {
      throw StateHeader.damaged(
          what, "%,d tokens and %,d positions".formatted(tokens.length, positions.length));
    }
    int before = -1;
    for (int position : positions) {
      if (position <= before || position > StateContent.MAX_CONTEXT) {
        throw StateHeader.damaged(what, "positions that do not ascend or are too large");
      }
      before = position;
    }
    if (cells.tokens() < 0
        || cells.tokens() > tokens.length
        || (cells.tokens() == 0) != (cells.bytes() == 0)) {
      throw StateHeader.damaged(
          what, "%,d bytes of cells for %,d tokens".formatted(cells.bytes(), cells.tokens()));
    }
    int last = 0;
    for (int checkpoint : checkpoints) {
      if (checkpoint <= last || checkpoint > cells.tokens()) {
        throw StateHeader.damaged(what, "a checkpoint after %,d tokens".formatted(checkpoint));
      }
      last = checkpoint;
    }
  }

  private static int[] ints(FileChannel channel, StateHeader.Section section, Path path)
      throws IOException {
    if (section.bytes() % Integer.BYTES != 0 || section.bytes() / Integer.BYTES > MAX_TOKENS) {
      throw StateHeader.damaged(
          path.toString(), "%,d bytes of %s".formatted(section.bytes(), section.kind()));
    }
    byte[] bytes = bytes(channel, section, (long) MAX_TOKENS * Integer.BYTES, path);
    int[] values = new int[bytes.length / Integer.BYTES];
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asIntBuffer().get(values);
    return values;
  }

  private static byte[] bytes(
      FileChannel channel, StateHeader.Section section, long most, Path path) throws IOException {
    if (section.bytes() > most) {
      throw StateHeader.damaged(
          path.toString(), "%,d bytes of %s".formatted(section.bytes(), section.kind()));
    }
    byte[] bytes = read(channel, section.offset(), (int) section.bytes(), path).array();
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    if ((int) crc.getValue() != section.crc()) {
      throw StateHeader.damaged(
          path.toString(), "a section %s whose checksum does not fit".formatted(section.kind()));
    }
    return bytes;
  }

  private static ByteBuffer read(FileChannel channel, long offset, int length, Path path)
      throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(length);
    while (buffer.hasRemaining()) {
      if (channel.read(buffer, offset + buffer.position()) < 0) {
        throw StateHeader.damaged(path.toString(), "become shorter while it was read");
      }
    }
    return buffer.flip();
  }

  private static MemorySegment copied(
      FileChannel channel, StateHeader.Section section, Arena arena, Path path) throws IOException {
    MemorySegment bytes = arena.allocate(section.bytes());
    for (long at = 0; at < bytes.byteSize(); ) {
      long length = Math.min(CHUNK, bytes.byteSize() - at);
      int read = channel.read(bytes.asSlice(at, length).asByteBuffer(), section.offset() + at);
      if (read < 0) {
        throw StateHeader.damaged(path.toString(), "become shorter while it was read");
      }
      at += read;
    }
    return bytes;
  }

  private static Instant instant(long millis, String what) {
    try {
      return Instant.ofEpochMilli(millis);
    } catch (DateTimeException e) {
      throw StateHeader.damaged(what, "an impossible date");
    }
  }

  private static String text(byte[] bytes, String what) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      throw StateHeader.damaged(what, "a label that is no UTF-8 text");
    }
  }

  private static StateFormatException missing(Path path, IOException e) {
    return new StateFormatException(path + " does not exist; check the path", e);
  }

  private static StateFormatException unreadable(Path path, IOException e) {
    return new StateFormatException(
        (Files.isDirectory(path) ? path + " is a folder" : path + " cannot be read: " + e)
            + "; name a state file that this user may read",
        e);
  }
}
