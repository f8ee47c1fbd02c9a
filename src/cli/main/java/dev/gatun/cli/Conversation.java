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
import dev.gatun.kv.CheckpointOptions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A conversation over one session. Each turn renders the whole conversation and reads only the
 * tokens that the session does not hold yet. A conversation that outgrows its context gets a larger
 * one.
 */
final class Conversation implements AutoCloseable {
  private final LlamaModel model;
  private final ContextFlags flags;
  private final OverflowFlags overflow;
  private final AdapterFlags adapters;
  private final AnswerFlags answers;
  private final Consumer<String> notes;
  private final List<ChatMessage> messages = new ArrayList<>();

  /** All that the session has read, dropped tokens too. */
  private int[] readSoFar = new int[0];

  private @Nullable LlamaContext context;
  private @Nullable LlamaSession session;

  Conversation(
      LlamaModel model,
      ContextFlags flags,
      OverflowFlags overflow,
      AdapterFlags adapters,
      AnswerFlags answers,
      Consumer<String> notes) {
    this.model = model;
    this.flags = flags;
    this.overflow = overflow;
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

  /**
   * Takes up what an earlier conversation left, as far as the next turn goes on from it.
   *
   * @throws CliException if the file is of another model or setting
   */
  void restore(PromptCache cache) {
    int tokens = cache.tokens();
    if (tokens == 0) {
      return;
    }
    LlamaSession opened = open(Math.max(1, tokens - 1), cache.room(tokens - 1, OptionalInt.of(1)));
    readSoFar = cache.restoreAll(opened, flags, notes);
  }

  /** Leaves what was read to the next conversation. */
  void save(PromptCache cache) {
    if (session != null) {
      cache.save(session, notes);
    }
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
      int[] rest = Arrays.copyOfRange(tokens, reuse(ready, tokens), tokens.length);
      IntStream.Builder said = IntStream.builder();
      StringBuilder answer = new StringBuilder();
      try (Generation generation = ready.generate(rest, prompt.with(options))) {
        for (Piece piece : generation) {
          answer.append(piece.text());
          said.add(piece.token());
          pieces.accept(piece);
        }
        messages.add(ChatMessage.assistant(answer.toString()));
        readSoFar = IntStream.concat(IntStream.of(tokens), said.build()).toArray();
        return generation;
      }
    } catch (RuntimeException e) {
      messages.subList(before, messages.size()).clear();
      throw e;
    }
  }

  /** Keeps what the session holds of a text; returns how many of its tokens need not be read. */
  private int reuse(LlamaSession ready, int[] tokens) {
    if (ready.droppedTokens() == 0) {
      keep(ready, common(ready.tokens(), tokens));
      return ready.size();
    }
    // What was dropped cannot be cut back to: either all of it goes on, or all is read again.
    if (common(readSoFar, tokens) == readSoFar.length) {
      return readSoFar.length;
    }
    ready.clear();
    return 0;
  }

  private LlamaSession session(int[] tokens) {
    int most = answers.maxTokens().orElse(0);
    if (session != null
        && (flags.contextTokens().isPresent()
            || overflow.options().budgetTokens().isPresent()
            || tokens.length + Math.max(most, 1) <= session.context().sequenceTokens())) {
      int atOnce = overflow.atOnce(tokens.length, flags.contextTokens());
      if (atOnce >= session.context().sequenceTokens()) {
        ContextPlan.of(atOnce, answers.maxTokens(), model, flags);
      }
      return session;
    }
    return open(overflow.atOnce(tokens.length, flags.contextTokens()), answers.maxTokens());
  }

  private LlamaSession open(int tokens, OptionalInt answerTokens) {
    ContextPlan plan = ContextPlan.of(tokens, answerTokens, model, flags);
    closeContext();
    plan.note().ifPresent(notes);
    LlamaContext opened = model.newContext(plan.options());
    context = opened;
    adapters.apply(model, opened);
    LlamaSession begun =
        OverflowFlags.newSession(
            opened, overflow.options().withCheckpoints(CheckpointOptions.defaults()));
    session = begun;
    return begun;
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
      session.clear(); // there is no checkpoint that far back
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
