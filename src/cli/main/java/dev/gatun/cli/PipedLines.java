package dev.gatun.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/** Lines from a pipe or a terminal that can do nothing: no history, no editing. */
final class PipedLines implements LineSource {
  private static final String FENCE = "\"\"\"";

  private final BufferedReader reader;
  private final Io io;

  PipedLines(Io io) {
    this.io = io;
    this.reader = new BufferedReader(new InputStreamReader(io.in(), StandardCharsets.UTF_8));
  }

  @Override
  public @Nullable String read() {
    if (io.inTerminal() && io.outTerminal()) {
      io.print("> ");
    }
    try {
      String line = reader.readLine();
      return line == null ? null : whole(line);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private String whole(String first) throws IOException {
    StringBuilder text = new StringBuilder();
    String line = first;
    if (line.stripLeading().startsWith(FENCE)) {
      line = line.stripLeading().substring(FENCE.length());
      while (line != null && !line.stripTrailing().endsWith(FENCE)) {
        text.append(line).append('\n');
        line = reader.readLine();
      }
      if (line != null) {
        String last = line.stripTrailing();
        text.append(last, 0, last.length() - FENCE.length());
      }
      return text.toString().strip();
    }
    while (line != null && line.endsWith("\\")) {
      text.append(line, 0, line.length() - 1).append('\n');
      line = reader.readLine();
    }
    return line == null ? text.toString() : text.append(line).toString();
  }

  @Override
  public void onInterrupt(OnInterrupt action) {
    // Without a terminal the end signal ends the program; Interrupts sees to it.
  }

  @Override
  public void close() {
    // The stream belongs to the process.
  }
}
