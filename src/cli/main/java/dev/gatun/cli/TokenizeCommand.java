package dev.gatun.cli;

import dev.gatun.LlamaModel;
import dev.gatun.LlamaRuntime;
import dev.gatun.ModelOptions;
import dev.gatun.Tokenizer;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonGenerator;

/** Turns text into token ids and back. */
final class TokenizeCommand extends Command {
  private final ModelFlags model = new ModelFlags();
  private final List<String> files = new ArrayList<>();
  private @Nullable String text;
  private @Nullable String decode;
  private boolean ids;
  private boolean noBos;
  private boolean special;
  private boolean json;
  private boolean count;

  @Override
  String name() {
    return "tokenize";
  }

  @Override
  String summary() {
    return "Turns text into token ids, or ids into text";
  }

  @Override
  String footer() {
    return """
    Examples:
      gatun tokenize "Where is the key?"
      gatun tokenize --count --file book.txt
      gatun tokenize --decode 1,432,9
    """;
  }

  @Override
  void declare(OptionTable table) {
    table
        .group("Text:")
        .positional("TEXT", "The text; - or nothing reads it from a pipe.", 1, v -> text = v)
        .value("-f,--file", "FILE", "A text file; may be given several times.", files::add)
        .value(
            "--decode",
            "IDS",
            "Ids, separated by commas or blanks, to turn into text.",
            v -> decode = v)
        .flag("--ids", "Print the ids only.", () -> ids = true)
        .flag("--count", "Print their number only.", () -> count = true)
        .flag(
            "--no-bos", "Do not put a begin-of-sequence token before the text.", () -> noBos = true)
        .flag(
            "--special",
            "Recognise special tokens in the text; show them when decoding.",
            () -> special = true)
        .flag("--json", "Write JSON.", () -> json = true);
    model.declare(table);
  }

  @Override
  int call(Io io) {
    String input = decode == null ? input(io) : "";
    LlamaRuntime.load();
    try (LlamaModel loaded =
        LlamaModel.load(model.path(), ModelOptions.defaults().withVocabularyOnly(true))) {
      Tokenizer tokenizer = loaded.tokenizer();
      if (decode != null) {
        io.line(tokenizer.decode(parsed(decode, tokenizer.size()), special));
      } else {
        show(io, tokenizer, tokenizer.encode(input, !noBos, special));
      }
      return ExitCode.OK;
    }
  }

  private String input(Io io) {
    StringBuilder all = new StringBuilder();
    files.forEach(file -> all.append(TextInput.file(file)));
    if (text != null && !text.equals("-")) {
      all.append(text);
    } else if (text != null || files.isEmpty()) {
      if (io.inTerminal() && text == null) {
        throw CliException.usage(
            "nothing to tokenize: give a text, --file FILE, or text in a pipe");
      }
      all.append(TextInput.stream(io.in()));
    }
    return all.toString();
  }

  private void show(Io io, Tokenizer tokenizer, int[] tokens) {
    if (json) {
      io.line(Json.line(body -> write(body, tokenizer, tokens)));
    } else if (count) {
      io.line(Integer.toString(tokens.length));
    } else if (ids) {
      StringBuilder line = new StringBuilder();
      for (int token : tokens) {
        line.append(line.isEmpty() ? "" : " ").append(token);
      }
      io.line(line.toString());
    } else {
      StringBuilder lines = new StringBuilder();
      for (int token : tokens) {
        String number = Integer.toString(token);
        lines
            .append(" ".repeat(Math.max(0, 7 - number.length())))
            .append(number)
            .append("  '")
            .append(tokenizer.decode(new int[] {token}, true).replace("\n", "\\n"))
            .append("'\n");
      }
      io.print(lines.toString());
    }
  }

  private void write(JsonGenerator body, Tokenizer tokenizer, int[] tokens) {
    body.writeNumberProperty("count", tokens.length);
    if (count) {
      return;
    }
    body.writeName("ids");
    body.writeStartArray();
    for (int token : tokens) {
      body.writeNumber(token);
    }
    body.writeEndArray();
    if (!ids) {
      body.writeName("texts");
      body.writeStartArray();
      for (int token : tokens) {
        body.writeString(tokenizer.decode(new int[] {token}, true));
      }
      body.writeEndArray();
    }
  }

  private static int[] parsed(String list, int vocabulary) {
    String[] parts = list.strip().split("[\\s,\\[\\]]+");
    List<Integer> tokens = new ArrayList<>();
    for (String part : parts) {
      if (!part.isEmpty()) {
        tokens.add(Values.whole("--decode", part, 0, vocabulary - 1));
      }
    }
    if (tokens.isEmpty()) {
      throw CliException.usage("--decode needs ids such as 1,432,9");
    }
    return tokens.stream().mapToInt(Integer::intValue).toArray();
  }
}
