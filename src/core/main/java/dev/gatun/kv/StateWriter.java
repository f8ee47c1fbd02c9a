package dev.gatun.kv;

import dev.gatun.files.OwnerOnly;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/** Writes a state file whole or not at all. */
final class StateWriter {
  /** How a file that is not complete yet is called. */
  static final String TEMPORARY_PREFIX = ".gatun-";

  static final String TEMPORARY_SUFFIX = ".tmp";

  private static final int CHUNK = 64 << 20;
  private static final SecureRandom RANDOM = new SecureRandom();

  private StateWriter() {}

  private record Part(StateHeader.Kind kind, int tokens, MemorySegment bytes, boolean aligned) {}

  static StateFacts write(Path path, StateContent content) {
    List<Part> parts = parts(content);
    requireReadable(content, parts);
    StateHeader header = header(parts, content.created().toEpochMilli());
    try {
      // A link stays a link; what it names is replaced.
      Path target = Files.isSymbolicLink(path) ? path.toRealPath() : path.toAbsolutePath();
      if (target.getParent() == null) {
        throw new FileSystemException(path.toString(), null, "a folder");
      }
      Path temporary =
          target.resolveSibling(
              TEMPORARY_PREFIX + HexFormat.of().toHexDigits(RANDOM.nextLong()) + TEMPORARY_SUFFIX);
      try {
        writeTo(temporary, header, parts);
        // What could not be read back does not take the old file's place.
        StateFacts facts = StateFile.inspect(temporary, path);
        replace(target, temporary);
        return facts;
      } finally {
        Files.deleteIfExists(temporary);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(
          "the state cannot be saved to " + path + ": " + e + "; check the folder and its space",
          e);
    }
  }

  private static void requireReadable(StateContent content, List<Part> parts) {
    int label = content.label().getBytes(StandardCharsets.UTF_8).length;
    if (label > StateFile.MAX_LABEL_BYTES) {
      throw new IllegalArgumentException(
          "a label has %,d bytes and may have %,d; shorten it"
              .formatted(label, StateFile.MAX_LABEL_BYTES));
    }
    if (parts.size() > StateHeader.MAX_SECTIONS) {
      int others = parts.size() - content.checkpoints().size();
      throw new IllegalArgumentException(
          "a state has %,d checkpoints and a file holds %,d; lower maxCount in CheckpointOptions"
              .formatted(content.checkpoints().size(), StateHeader.MAX_SECTIONS - others));
    }
  }

  private static List<Part> parts(StateContent content) {
    List<Part> parts = new ArrayList<>();
    add(parts, StateHeader.Kind.MODEL, StateFile.model(content));
    add(parts, StateHeader.Kind.SETTINGS, content.settings().encode());
    add(parts, StateHeader.Kind.LABEL, content.label().getBytes(StandardCharsets.UTF_8));
    add(parts, StateHeader.Kind.TOKENS, bytes(content.tokens()));
    add(parts, StateHeader.Kind.POSITIONS, bytes(content.positions()));
    parts.add(new Part(StateHeader.Kind.CELLS, content.decoded(), content.cells(), true));
    for (StateCheckpoint checkpoint : content.checkpoints()) {
      parts.add(
          new Part(StateHeader.Kind.CHECKPOINT, checkpoint.tokens(), checkpoint.cells(), true));
    }
    return parts;
  }

  private static void add(List<Part> parts, StateHeader.Kind kind, byte[] bytes) {
    parts.add(new Part(kind, 0, MemorySegment.ofArray(bytes), false));
  }

  private static byte[] bytes(int[] values) {
    ByteBuffer buffer =
        ByteBuffer.allocate(Math.multiplyExact(values.length, Integer.BYTES))
            .order(ByteOrder.LITTLE_ENDIAN);
    buffer.asIntBuffer().put(values);
    return buffer.array();
  }

  private static StateHeader header(List<Part> parts, long createdMillis) {
    List<StateHeader.Section> sections = new ArrayList<>();
    long at = StateHeader.length(parts.size());
    for (Part part : parts) {
      at = up(at, part.aligned() ? StateHeader.PAGE : Long.BYTES);
      sections.add(
          new StateHeader.Section(
              part.kind(),
              part.tokens(),
              at,
              part.bytes().byteSize(),
              StateFile.crc(part.bytes())));
      at += part.bytes().byteSize();
    }
    return new StateHeader(at, createdMillis, List.copyOf(sections));
  }

  private static long up(long value, long unit) {
    return (value + unit - 1) / unit * unit;
  }

  private static void writeTo(Path file, StateHeader header, List<Part> parts) throws IOException {
    Set<StandardOpenOption> options =
        Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    try (FileChannel channel = FileChannel.open(file, options, OwnerOnly.attributes(file))) {
      all(channel, header.encode(), 0);
      for (int i = 0; i < parts.size(); i++) {
        MemorySegment bytes = parts.get(i).bytes();
        long offset = header.sections().get(i).offset();
        for (long at = 0; at < bytes.byteSize(); at += CHUNK) {
          long length = Math.min(CHUNK, bytes.byteSize() - at);
          all(channel, bytes.asSlice(at, length).asByteBuffer(), offset + at);
        }
      }
      if (channel.size() < header.fileBytes()) { // the last section is empty
        all(channel, ByteBuffer.allocate(1), header.fileBytes() - 1);
      }
      channel.force(true);
    }
  }

  private static void all(FileChannel channel, ByteBuffer bytes, long offset) throws IOException {
    long at = offset;
    while (bytes.hasRemaining()) {
      at += channel.write(bytes, at);
    }
  }

  /**
   * Puts a file in place of another one and makes the new name last. Windows does that by itself
   * and cannot open a folder.
   */
  private static void replace(Path target, Path by) throws IOException {
    if (StateFile.WINDOWS) {
      move(by, target);
      return;
    }
    Path folder = Objects.requireNonNull(target.getParent(), "folder");
    // Opened first: a folder that cannot be forced is found while the old file is in place.
    try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
      move(by, target);
      channel.force(true);
    }
  }

  private static void move(Path from, Path to) throws IOException {
    Files.move(from, to, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }
}
