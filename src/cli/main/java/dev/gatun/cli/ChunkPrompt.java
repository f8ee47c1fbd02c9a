package dev.gatun.cli;

import dev.gatun.LlamaModel;
import dev.gatun.Tokenizer;
import dev.gatun.chat.ChatMessage;
import dev.gatun.chat.ChatPrompt;
import dev.gatun.chat.ChatRequest;
import dev.gatun.error.ChatTemplateException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A prompt in parts, each a text of its own to the tokenizer, so that a document has the same
 * tokens wherever it stands.
 *
 * @param prefix what stands before the documents, at least one token
 * @param chunks the documents
 * @param rest what comes behind them
 * @param stops texts that end the answer
 */
record ChunkPrompt(int[] prefix, List<int[]> chunks, int[] rest, List<String> stops) {
  /** Stands for the message while the template is rendered; no template knows it. */
  private static final String MESSAGE = "\ue000message\ue001";

  /**
   * What stands around a message.
   *
   * @param before what comes before it
   * @param after what comes after it
   * @param stops texts that end the answer
   */
  record Frame(String before, String after, List<String> stops) {}

  /** Returns the frame of a text that goes in as it is. */
  static Frame raw() {
    return new Frame("", "", List.of());
  }

  /**
   * Returns the frame of a message in the model's chat template.
   *
   * @param system what the model is told first
   * @throws ChatTemplateException if the template does not put a message into the prompt once and
   *     as it stands
   */
  static Frame chat(LlamaModel model, @Nullable String system) {
    if (model.metadata().chatTemplate().isEmpty()) {
      return new Frame(system == null ? "" : system + "\n", "", List.of());
    }
    List<ChatMessage> messages = new ArrayList<>();
    if (system != null) {
      messages.add(ChatMessage.system(system));
    }
    messages.add(ChatMessage.user(MESSAGE));
    ChatPrompt prompt =
        model.chatTemplate().render(ChatRequest.of(messages).withAddGenerationPrompt(true));
    int at = prompt.text().indexOf(MESSAGE);
    if (at < 0 || prompt.text().indexOf(MESSAGE, at + 1) >= 0) {
      throw new ChatTemplateException(
          "the chat template does not put a message into the prompt once and as it stands, so"
              + " --chunk cannot use it");
    }
    return new Frame(
        prompt.text().substring(0, at),
        prompt.text().substring(at + MESSAGE.length()),
        prompt.stops());
  }

  /** Cuts a prompt into its parts. */
  static ChunkPrompt of(Tokenizer tokenizer, Frame frame, List<String> documents, String text) {
    int[] prefix = tokenizer.encode(frame.before(), true, true);
    if (prefix.length == 0) {
      prefix = tokenizer.encode("\n", true, true); // attention needs something to fall back on
    }
    return new ChunkPrompt(
        prefix,
        documents.stream().map(document -> tokenizer.encode(document, false, true)).toList(),
        tokenizer.encode(text + frame.after(), false, true),
        frame.stops());
  }

  /** Returns the whole prompt. */
  Prompt whole() {
    return new Prompt(
        Stream.of(Stream.of(prefix), chunks.stream(), Stream.of(rest))
            .flatMap(parts -> parts)
            .flatMapToInt(IntStream::of)
            .toArray(),
        stops);
  }
}
