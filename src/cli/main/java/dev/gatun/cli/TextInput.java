package dev.gatun.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** Reads text that people give: files and standard input, UTF-8 and nothing else. */
final class TextInput {
  private TextInput() {}

  /**
   * Reads a text file.
   *
   * @throws CliException if it cannot be read or is not text
   */
  static String file(String name) {
    Path file = Path.of(name);
    if (Files.isDirectory(file)) {
      throw CliException.file(file + " is a folder; name a text file in it");
    }
    try {
      return text(Files.readAllBytes(file), name);
    } catch (NoSuchFileException e) {
      throw CliException.file("no such file: " + name + "; check the path");
    } catch (AccessDeniedException e) {
      throw CliException.file("no permission to read " + name + "; check its owner and mode");
    } catch (IOException e) {
      throw CliException.file("cannot read " + name + ": " + e.getMessage());
    } catch (OutOfMemoryError e) {
      throw CliException.space(
          name + " is too large to be read at once; give less text, or GATUN_JAVA_OPTS=-Xmx4g");
    }
  }

  /**
   * Reads standard input to its end.
   *
   * @throws CliException if it is not text
   */
  static String stream(InputStream in) {
    try {
      return text(in.readAllBytes(), "standard input");
    } catch (IOException e) {
      throw CliException.file("cannot read standard input: " + e.getMessage());
    }
  }

  private static String text(byte[] bytes, String name) {
    int start =
        bytes.length >= 3
                && bytes[0] == (byte) 0xEF
                && bytes[1] == (byte) 0xBB
                && bytes[2] == (byte) 0xBF
            ? 3
            : 0;
    for (int i = start; i < bytes.length; i++) {
      if (bytes[i] == 0) {
        throw CliException.file(
            name + " is not text (a zero byte at " + i + "); convert it to UTF-8 text first");
      }
    }
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .decode(ByteBuffer.wrap(bytes, start, bytes.length - start))
          .toString();
    } catch (CharacterCodingException e) {
      throw CliException.file(
          name + " is not UTF-8 text; convert it first, for example: iconv -f LATIN1 -t UTF-8");
    }
  }
}
