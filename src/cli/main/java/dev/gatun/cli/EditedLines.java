package dev.gatun.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jline.reader.EOFError;
import org.jline.reader.EndOfFileException;
import org.jline.reader.LineReader;
import org.jline.reader.LineReaderBuilder;
import org.jline.reader.ParsedLine;
import org.jline.reader.Parser;
import org.jline.reader.UserInterruptException;
import org.jline.reader.impl.DefaultParser;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import org.jline.utils.Signals;
import org.jspecify.annotations.Nullable;

/** Lines from a person at a terminal: editing, history, several lines. The only user of JLine. */
final class EditedLines implements LineSource {
  private static final String FENCE = "\"\"\"";

  private final Terminal terminal;
  private final LineReader reader;
  private volatile OnInterrupt action = () -> {};

  EditedLines(Path history) {
    try {
      Files.createDirectories(history.toAbsolutePath().getParent());
      // exec works with stty and needs no native access; dumb is for whatever cannot even do that.
      terminal =
          TerminalBuilder.builder()
              .system(true)
              .provider("exec")
              .dumb(true)
              .nativeSignals(true)
              .build();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    terminal.handle(Terminal.Signal.INT, signal -> action.interrupted());
    if (terminal.getType().startsWith(Terminal.TYPE_DUMB)) {
      Signals.register(
          "INT", () -> action.interrupted()); // such a terminal has no signals of its own
    }
    reader =
        LineReaderBuilder.builder()
            .appName("gatun")
            .terminal(terminal)
            .parser(new WholeText())
            .variable(LineReader.HISTORY_FILE, history)
            .variable(LineReader.SECONDARY_PROMPT_PATTERN, ". ")
            .option(LineReader.Option.DISABLE_EVENT_EXPANSION, true)
            .build();
  }

  @Override
  public @Nullable String read() {
    try {
      String line = reader.readLine("> ");
      return joined(line);
    } catch (UserInterruptException e) {
      return "";
    } catch (EndOfFileException e) {
      return null;
    }
  }

  private static String joined(String line) {
    String text = line.strip();
    if (text.startsWith(FENCE)) {
      text = text.substring(FENCE.length());
      return (text.endsWith(FENCE) ? text.substring(0, text.length() - FENCE.length()) : text)
          .strip();
    }
    return text.replace("\\\n", "\n");
  }

  @Override
  public void onInterrupt(OnInterrupt action) {
    this.action = action;
  }

  @Override
  public void close() {
    try {
      reader.getHistory().save();
      terminal.close();
    } catch (IOException e) {
      // A history that cannot be kept is no reason to fail.
    }
  }

  /** The whole line is one word; it goes on after a backslash and between triple quotes. */
  private static final class WholeText implements Parser {
    private final DefaultParser words = new DefaultParser();

    WholeText() {
      words.setEscapeChars(new char[0]);
      words.setQuoteChars(new char[0]);
    }

    @Override
    public ParsedLine parse(String line, int cursor, ParseContext context) {
      if (context == ParseContext.ACCEPT_LINE) {
        String text = line.strip();
        boolean fenced = text.startsWith(FENCE);
        if (fenced && (text.length() < 2 * FENCE.length() || !text.endsWith(FENCE))) {
          throw new EOFError(-1, cursor, "triple quotes are open");
        }
        if (!fenced && line.endsWith("\\")) {
          throw new EOFError(-1, cursor, "a backslash asks for more");
        }
      }
      return words.parse(line, cursor, context);
    }
  }
}
