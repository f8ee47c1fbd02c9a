package dev.gatun.cli;

import dev.gatun.Cancellation;
import dev.gatun.Generation;
import dev.gatun.GenerationOptions;
import dev.gatun.LlamaModel;
import dev.gatun.StopReason;
import dev.gatun.error.LlamaException;
import dev.gatun.kv.OverflowPolicy;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** Holds a conversation. */
final class ChatCommand extends Command {
  private static final String HELP =
      """
      /help          this list
      /stats         what the last answer cost
      /system TEXT   set the system message; without a text remove it
      /clear         forget the conversation
      /save FILE     write the conversation as JSON
      /load FILE     go on with a saved conversation
      /exit          leave (also Ctrl-D)
      Ctrl-C stops the answer. A line that ends in \\ goes on in the next one;
      \"\"\" begins and ends several lines.
      """;

  private final ModelFlags model = new ModelFlags();
  private final AnswerFlags answer = new AnswerFlags();
  private final SamplingFlags sampling = new SamplingFlags();
  private final ContextFlags context = new ContextFlags();
  private final OverflowFlags overflow = new OverflowFlags(OverflowPolicy.fail());
  private final PromptCache cache = new PromptCache();
  private final AdapterFlags adapters = new AdapterFlags();
  private String system = "";
  private boolean quiet;
  private @Nullable String stats;

  @Override
  String name() {
    return "chat";
  }

  @Override
  String summary() {
    return "Holds a conversation; only what is new is read each time";
  }

  @Override
  String footer() {
    return "In the conversation:\n" + HELP;
  }

  @Override
  void declare(OptionTable table) {
    table
        .group("Conversation:")
        .value(
            "-sys,--system,--system-prompt",
            "TEXT",
            "What the model is told first.",
            v -> system = v)
        .flag("-q,--quiet", "No notes on standard error.", () -> quiet = true);
    declareVerbose(table);
    model.declare(table);
    answer.declare(table);
    sampling.declare(table);
    context.declare(table);
    overflow.declare(table);
    cache.declare(table);
    adapters.declare(table);
  }

  @Override
  int call(Io io) {
    boolean person = io.inTerminal() && io.outTerminal();
    if (model.isBuiltin() && !quiet) {
      io.note(BuiltinModel.NOTE);
    }
    SparseFlag.requireFits(context.options().sparseAttention(), overflow.options().overflow());
    SparseFlag.warn(io, context.options().sparseAttention());
    cache.open();
    Cancellation program = Cancellation.create();
    try (Interrupts _ = Interrupts.cancelling(program);
        LlamaModel loaded = model.load(io, quiet, program);
        Conversation conversation =
            new Conversation(
                loaded,
                context,
                overflow,
                adapters,
                answer,
                note -> {
                  if (!quiet) {
                    io.note(note);
                  }
                });
        LineSource lines = person ? edited() : new PipedLines(io)) {
      if (person && !quiet) {
        io.line("Say something; /help lists what else there is, /exit or Ctrl-D leaves.");
      }
      conversation.system(system);
      conversation.restore(cache);
      int code = talk(io, lines, conversation, program);
      conversation.save(cache);
      return code;
    }
  }

  private static LineSource edited() {
    return new EditedLines(UserFolders.state().resolve("chat-history"));
  }

  private int talk(Io io, LineSource lines, Conversation conversation, Cancellation program) {
    for (String text; (text = lines.read()) != null; ) {
      String said = text.strip();
      if (said.isEmpty()) {
        continue;
      }
      if (said.equals("/exit") || said.equals("/quit")) {
        break;
      }
      try {
        if (said.startsWith("/")) {
          command(io, conversation, said);
        } else {
          say(io, lines, conversation, program, said);
        }
      } catch (CliException | LlamaException | IllegalArgumentException e) {
        ErrorMapper.Outcome outcome = ErrorMapper.map(e);
        if (outcome.exitCode() == ExitCode.PIPE_CLOSED) {
          throw e;
        }
        io.note(outcome.line());
      }
      if (program.isCancelled()) {
        return ExitCode.INTERRUPTED;
      }
    }
    return ExitCode.OK;
  }

  private void say(
      Io io, LineSource lines, Conversation conversation, Cancellation program, String text) {
    // Outside a terminal the end signal ends the program; in one, Ctrl-C ends the answer.
    Cancellation cancellation = io.inTerminal() ? Cancellation.create() : program;
    AtomicReference<@Nullable ProgressBar> bar =
        new AtomicReference<>(quiet ? null : new ProgressBar(io, "reading"));
    GenerationOptions options =
        answer
            .options(sampling.sampler(model.isBuiltin()), cancellation)
            .withPrefillProgress(
                (done, total) -> {
                  ProgressBar shown = bar.get();
                  if (shown != null) {
                    shown.update((double) done / total);
                  }
                });
    lines.onInterrupt(cancellation::cancel);
    try {
      Generation generation =
          conversation.say(
              text,
              options,
              piece -> {
                ProgressBar shown = bar.getAndSet(null);
                if (shown != null) {
                  shown.close();
                }
                io.print(piece.text());
              });
      StopReason reason = generation.stopReason().orElseThrow();
      stats = Stats.line(generation.usage(), reason);
      if (reason == StopReason.CONTEXT_FULL && !quiet) {
        io.note("the answer was cut because the context is full; raise -c/--ctx-size or /clear");
      }
    } finally {
      lines.onInterrupt(() -> {});
      io.print("\n");
    }
  }

  private void command(Io io, Conversation conversation, String line) {
    int space = line.indexOf(' ');
    String name = space < 0 ? line : line.substring(0, space);
    String argument = space < 0 ? "" : line.substring(space + 1).strip();
    switch (name) {
      case "/help" -> io.print(HELP);
      case "/stats" -> io.line(stats == null ? "no answer yet" : stats);
      case "/clear" -> {
        conversation.replace(java.util.List.of());
        conversation.system(system);
      }
      case "/system" -> {
        system = argument;
        conversation.system(argument);
      }
      case "/save" -> {
        Transcript.save(file(name, argument), conversation.messages());
        io.line("saved " + conversation.messages().size() + " messages to " + argument);
      }
      case "/load" -> {
        conversation.replace(Transcript.load(file(name, argument)));
        io.line("loaded " + conversation.messages().size() + " messages from " + argument);
      }
      default -> throw CliException.usage("there is no " + name + "; /help lists what there is");
    }
  }

  private static Path file(String name, String argument) {
    if (argument.isEmpty()) {
      throw CliException.usage(name + " needs a file name, such as " + name + " talk.json");
    }
    return Path.of(argument);
  }
}
