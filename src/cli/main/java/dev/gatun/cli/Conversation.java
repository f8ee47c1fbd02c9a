package dev.gatun.cli;

import dev.gatun.Generation;
import dev.gatun.GenerationOptions;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.LlamaSession;
import dev.gatun.Piece;
import dev.gatun.chat.ChatMessage;
import dev.gatun.chat.Role;
import dev.gatun.error.UnsupportedOperationForModelException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A conversation over one session. Each turn renders the whole conversation and reads only the
 * tokens that the session does not hold yet. A conversation that outgrows its context gets a larger
 * one.
 */
final class Conversation implements AutoCloseable {
  private final LlamaModel model;
  private final ContextFlags flags;
  private final AdapterFlags adapters;
  private final AnswerFlags answers;
  private final Consumer<String> notes;
  private final List<ChatMessage> messages = new ArrayList<>();
  private @Nullable LlamaContext context;
  private @Nullable LlamaSession session;

  Conversation(
      LlamaModel model,
      ContextFlags flags,
      AdapterFlags adapters,
      AnswerFlags answers,
      Consumer<String> notes) {
    this.model = model;
    this.flags = flags;
    this.adapters = adapters;
    this.answers = answers;
    this.notes = notes;
  }

  List<ChatMessage> messages() {
    return messages;
  }

  /** Puts other messages in place of those so far. */
  void replace(List<ChatMessage> others) {
    messages.clear();
    messages.addAll(others);
  }

  /** Sets or removes the system message. */
  void system(String text) {
    messages.removeIf(message -> message.role() == Role.SYSTEM);
    if (!text.isEmpty()) {
      messages.addFirst(ChatMessage.system(text));
    }
  }

  /**
   * Says something and hands the answer on, piece by piece. A turn that fails leaves the
   * conversation as it was.
   *
   * @return the finished generation, for its statistics
   */
  Generation say(String text, GenerationOptions options, Consumer<Piece> pieces) {
    int before = messages.size();
    messages.add(ChatMessage.user(text));
    try {
      Prompt prompt = Prompt.chat(model, messages);
      int[] tokens = prompt.tokens();
      LlamaSession ready = session(tokens);
      int common = common(ready.tokens(), tokens);
      keep(ready, common);
      int[] rest = Arrays.copyOfRange(tokens, ready.size(), tokens.length);
      StringBuilder answer = new StringBuilder();
      try (Generation generation = ready.generate(rest, prompt.with(options))) {
        for (Piece piece : generation) {
          answer.append(piece.text());
          pieces.accept(piece);
        }
        messages.add(ChatMessage.assistant(answer.toString()));
        return generation;
      }
    } catch (RuntimeException e) {
      messages.subList(before, messages.size()).clear();
      throw e;
    }
  }

  private LlamaSession session(int[] tokens) {
    int most = answers.maxTokens().orElse(0);
    if (session != null
        && (flags.contextTokens().isPresent()
            || tokens.length + Math.max(most, 1) <= session.context().sequenceTokens())) {
      if (tokens.length >= session.context().sequenceTokens()) {
        ContextPlan.of(tokens.length, answers.maxTokens(), model, flags);
      }
      return session;
    }
    ContextPlan plan = ContextPlan.of(tokens.length, answers.maxTokens(), model, flags);
    closeContext();
    plan.note().ifPresent(notes);
    context = model.newContext(plan.options());
    adapters.apply(model, context);
    session = context.newSession();
    return session;
  }

  private static int common(int[] held, int[] wanted) {
    // At least one token is read again: the logits of the last one are needed.
    int most = Math.min(held.length, wanted.length - 1);
    int mismatch = Arrays.mismatch(held, 0, most, wanted, 0, most);
    return mismatch < 0 ? most : mismatch;
  }

  private static void keep(LlamaSession session, int tokens) {
    if (tokens == session.size()) {
      return;
    }
    try {
      session.truncate(tokens);
    } catch (UnsupportedOperationForModelException e) {
      session.clear(); // a recurrent state cannot forget a part
    }
  }

  private void closeContext() {
    if (context != null) {
      context.close();
      context = null;
      session = null;
    }
  }

  @Override
  public void close() {
    closeContext();
  }
}
