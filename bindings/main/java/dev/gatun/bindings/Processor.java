package dev.gatun.bindings;

import java.io.FileInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/** What the processor says of itself. */
final class Processor {
  private static final String FILE = "/proc/cpuinfo";
  private static final int ENOUGH_BYTES = 8192;

  private Processor() {}

  /**
   * Returns the description of the first processor without what changes from moment to moment; ""
   * where the platform has no such file.
   */
  static String description() {
    try (FileInputStream in = new FileInputStream(FILE)) {
      return stable(new String(in.readNBytes(ENOUGH_BYTES), StandardCharsets.ISO_8859_1));
    } catch (IOException e) {
      // Not Linux: the variants are asked for their scores each time.
      return "";
    }
  }

  static String stable(String text) {
    var kept = new StringBuilder(ENOUGH_BYTES);
    int line = 0;
    while (line < text.length()) {
      int end = text.indexOf('\n', line);
      if (end < 0) {
        end = text.length();
      }
      if (end == line && kept.length() > 0) {
        break; // a blank line: the next processor follows
      }
      if (!text.startsWith("cpu MHz", line) && !text.startsWith("bogomips", line)) {
        kept.append(text, line, end).append('\n');
      }
      line = end + 1;
    }
    return kept.toString();
  }
}
