package dev.gatun.eval;

import dev.gatun.LlamaModel;
import dev.gatun.chat.ChatMessage;
import dev.gatun.chat.ChatPrompt;
import dev.gatun.chat.ChatRequest;
import dev.gatun.error.ChatTemplateException;
import java.util.List;

/** How text and question become a prompt. */
public enum QuestionFormat {
  /** {@link #CHAT} where the model has a template, else {@link #PLAIN}. */
  AUTO,
  /** Text, newline and question as one message of a chat. */
  CHAT,
  /** Text, newline, question, newline. */
  PLAIN;

  /** Stands for the message while the template is rendered; no template knows it. */
  private static final String MESSAGE = "\ue000message\ue001";

  /**
   * What stands around text and question.
   *
   * @param before what comes before the text
   * @param after what comes after the question
   * @param stops texts that end the answer
   */
  record Frame(String before, String after, List<String> stops) {}

  /**
   * Returns the frame.
   *
   * @throws ChatTemplateException if the template does not say a message once and as it stands
   */
  Frame frame(LlamaModel model) {
    if (this == PLAIN || (this == AUTO && model.metadata().chatTemplate().isEmpty())) {
      return new Frame("", "\n", List.of());
    }
    ChatPrompt prompt =
        model
            .chatTemplate()
            .render(ChatRequest.of(List.of(ChatMessage.user(MESSAGE))).withThinking(false));
    int at = prompt.text().indexOf(MESSAGE);
    if (at < 0 || prompt.text().indexOf(MESSAGE, at + 1) >= 0) {
      throw new ChatTemplateException(
          "the chat template does not put a message into the prompt once and as it stands; use QuestionFormat.PLAIN");
    }
    return new Frame(
        prompt.text().substring(0, at),
        prompt.text().substring(at + MESSAGE.length()),
        prompt.stops());
  }
}
