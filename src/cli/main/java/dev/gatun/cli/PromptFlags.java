package dev.gatun.cli;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The flags that say what is asked, and the text that comes of them: documents first, the question
 * last.
 */
final class PromptFlags {
  private final ChunkFlags chunks;
  private final List<String> files = new ArrayList<>();
  private @Nullable String prompt;
  private @Nullable String question;

  PromptFlags(ChunkFlags chunks) {
    this.chunks = chunks;
  }

  void declare(OptionTable table) {
    table
        .group("Text:")
        .value("-p,--prompt", "TEXT", "The prompt; the same as the argument.", this::prompt)
        .value(
            "-f,--file",
            "FILE",
            "A document of any length, UTF-8 text; may be given several times.",
            files::add)
        .value(
            "--ask",
            "QUESTION",
            "A question about the documents (or standard input); answered greedily unless a"
                + " temperature is given.",
            v -> question = v)
        .positional(
            "PROMPT",
            "What to say to the model; - or nothing reads it from a pipe.",
            1,
            this::prompt);
    chunks.declare(table);
  }

  private void prompt(String text) {
    if (prompt != null) {
      throw CliException.usage("two prompts are given; put all of the text into one");
    }
    prompt = text;
  }

  /** Whether an answer is to be found rather than made up. */
  boolean isQuestion() {
    return question != null;
  }

  /**
   * Returns the whole text, but for the documents of {@code --chunk}.
   *
   * @throws CliException if there is none, or a part of it cannot be read
   */
  String text(Io io) {
    List<String> parts = new ArrayList<>();
    for (String file : files) {
      String text = TextInput.file(file);
      if (text.isBlank()) {
        throw CliException.usage(file + " is empty; give a file with text");
      }
      parts.add(text);
    }
    if (prompt != null && prompt.equals("-")) {
      parts.add(TextInput.stream(io.in()));
    } else if (prompt != null) {
      parts.add(prompt);
    } else if (files.isEmpty() && !chunks.isGiven()) {
      if (io.inTerminal()) {
        throw CliException.usage(
            question == null
                ? "nothing to say: give a prompt, --file FILE, or text through a pipe; `gatun chat`"
                    + " holds a conversation"
                : "--ask needs a text to look in: give --file FILE, --chunk FILE or text through a"
                    + " pipe");
      }
      parts.add(TextInput.stream(io.in()));
    }
    if (question != null && !chunks.isGiven() && joined(parts).isBlank()) {
      throw CliException.usage(
          "--ask needs a text to look in, and what came is empty: give --file FILE or text in a"
              + " pipe");
    }
    if (question != null) {
      if (question.isBlank()) {
        throw CliException.usage("--ask needs a question; it is empty");
      }
      parts.add(question);
    }
    String text = joined(parts);
    if (text.isBlank() && chunks.isGiven()) {
      throw CliException.usage(
          "--chunk needs something to ask about the documents: give --ask QUESTION or a prompt");
    }
    if (text.isBlank()) {
      throw CliException.usage(
          "the prompt is empty; give a prompt, --file FILE, or text in a pipe");
    }
    return text;
  }

  private static String joined(List<String> parts) {
    if (parts.size() == 1) {
      return parts.getFirst();
    }
    StringBuilder all = new StringBuilder();
    for (int i = 0; i < parts.size(); i++) {
      all.append(i < parts.size() - 1 ? parts.get(i).stripTrailing() + "\n" : parts.get(i));
    }
    return all.toString();
  }
}
