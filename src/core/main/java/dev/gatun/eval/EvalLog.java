package dev.gatun.eval;

import dev.gatun.error.StateFormatException;
import dev.gatun.json.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The points of evaluations, kept in a file of one JSON object a line, so that an evaluation that
 * was interrupted goes on where it was. Points of several models and settings may stand in one
 * file. A line is on the disk before the next task begins; a last line that was not written to its
 * end is cut off when the file is opened.
 *
 * <p>Thread: one at a time. Lifetime: the file is open until {@link #close()}.
 */
public final class EvalLog implements AutoCloseable {
  private static final String LINE_START = "{\"key\":\"";

  private final @Nullable Path file;
  private final @Nullable FileChannel channel;
  private final Map<String, EvalPoint> points = new HashMap<>();

  private EvalLog(@Nullable Path file, @Nullable FileChannel channel) {
    this.file = file;
    this.channel = channel;
  }

  /** Returns a log that keeps its points in memory only. */
  public static EvalLog inMemory() {
    return new EvalLog(null, null);
  }

  /**
   * Opens a log; the file is made when it is not there.
   *
   * @throws StateFormatException if a line is not a point
   * @throws UncheckedIOException if the file cannot be read or written
   */
  public static EvalLog open(Path file) {
    FileChannel channel = null;
    try {
      channel =
          FileChannel.open(
              file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
      EvalLog log = new EvalLog(file, channel);
      log.readLines(Files.readAllBytes(file));
      return log;
    } catch (NoSuchFileException e) {
      closeQuietly(channel, e);
      throw new UncheckedIOException(
          "cannot open the file of results "
              + file
              + ": there is no such folder; make it or name another",
          e);
    } catch (IOException e) {
      closeQuietly(channel, e);
      throw new UncheckedIOException("cannot open the file of results " + file + ": " + e, e);
    } catch (RuntimeException e) {
      closeQuietly(channel, e);
      throw e;
    }
  }

  private static void closeQuietly(@Nullable FileChannel channel, Exception cause) {
    if (channel != null) {
      try {
        channel.close();
      } catch (IOException e) {
        cause.addSuppressed(e);
      }
    }
  }

  private void readLines(byte[] bytes) throws IOException {
    int line = 1;
    int start = 0;
    for (int i = 0; i < bytes.length; i++) {
      if (bytes[i] == '\n') {
        String text = new String(bytes, start, i - start, StandardCharsets.UTF_8).strip();
        if (!text.isEmpty()) {
          readLine(text, line);
        }
        line++;
        start = i + 1;
      }
    }
    String rest = new String(bytes, start, bytes.length - start, StandardCharsets.UTF_8);
    if (!rest.startsWith(LINE_START) && !LINE_START.startsWith(rest)) {
      readLine(rest, line); // not the beginning of a line of ours: refused, not cut off
    }
    if (channel != null) {
      channel.truncate(start);
      channel.position(start);
    }
  }

  private void readLine(String text, int line) {
    try {
      Map<String, Object> fields = Json.parseObject(text);
      if (!(fields.get("key") instanceof String key)) {
        throw new IllegalArgumentException("the field 'key' is missing");
      }
      points.put(key, PointJson.read(fields));
    } catch (Json.JsonException | IllegalArgumentException | ArithmeticException e) {
      throw new StateFormatException(
          "line %d of %s is not a result (%s); name another file or delete the line"
              .formatted(line, file, e.getMessage()),
          e);
    }
  }

  /**
   * Returns the point of a task, if it is there.
   *
   * @param identity the task's {@link EvalTask#identity()}
   */
  public Optional<EvalPoint> find(String identity) {
    return Optional.ofNullable(points.get(key(identity)));
  }

  /**
   * Adds a point.
   *
   * @param identity the task's {@link EvalTask#identity()}
   * @throws UncheckedIOException if it cannot be written
   */
  public void append(String identity, EvalPoint point) {
    String key = key(identity);
    if (channel != null) {
      String line = PointJson.write(key, identity, point) + "\n";
      ByteBuffer bytes = ByteBuffer.wrap(line.getBytes(StandardCharsets.UTF_8));
      try {
        while (bytes.hasRemaining()) {
          channel.write(bytes);
        }
        channel.force(false);
      } catch (IOException e) {
        throw new UncheckedIOException("cannot write the result to " + file + ": " + e, e);
      }
    }
    points.put(key, point);
  }

  /** Closes the file. Idempotent. */
  @Override
  public void close() {
    if (channel != null) {
      try {
        channel.close();
      } catch (IOException e) {
        throw new UncheckedIOException("cannot close " + file + ": " + e, e);
      }
    }
  }

  private static String key(String identity) {
    return digest(identity).substring(0, 32);
  }

  /** Returns the SHA-256 of a text, in hexadecimal. */
  static String digest(String text) {
    return digest(text.getBytes(StandardCharsets.UTF_8));
  }

  /** Returns the SHA-256 of tokens, in hexadecimal. */
  static String digest(int[] tokens) {
    ByteBuffer bytes = ByteBuffer.allocate(tokens.length * Integer.BYTES);
    bytes.asIntBuffer().put(tokens);
    return digest(bytes.array());
  }

  private static String digest(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
