package dev.gatun.cli;

import dev.gatun.Cancellation;
import dev.gatun.Generation;
import dev.gatun.GenerationOptions;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.LlamaSession;
import dev.gatun.Piece;
import dev.gatun.StopReason;
import dev.gatun.chat.ChatMessage;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.kv.OverflowPolicy;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Answers one prompt. */
final class RunCommand extends Command {
  private final ChunkFlags chunks = new ChunkFlags();
  private final PromptFlags prompt = new PromptFlags(chunks);
  private final ModelFlags model = new ModelFlags();
  private final AnswerFlags answer = new AnswerFlags();
  private final SamplingFlags sampling = new SamplingFlags();
  private final ContextFlags context = new ContextFlags();
  private final OverflowFlags overflow = new OverflowFlags(OverflowPolicy.fail());
  private final PromptCache cache = new PromptCache();
  private final AdapterFlags adapters = new AdapterFlags();
  private @Nullable String system;
  private boolean raw;
  private boolean json;
  private boolean quiet;
  private boolean stats;

  @Override
  String name() {
    return "run";
  }

  @Override
  String summary() {
    return "Answers a prompt, or a question about documents of any length";
  }

  @Override
  String footer() {
    return """
    Examples:
      gatun run -m model.gguf "Explain RoPE in two sentences."
      gatun run --file report.txt --ask "Who wrote the report?"
      gatun run --chunk a.txt --chunk b.txt --ask "Who wrote b?" --chunk-check
      git log | gatun run -m model.gguf --ask "What changed last week?"
    """;
  }

  @Override
  void declare(OptionTable table) {
    prompt.declare(table);
    table
        .value(
            "-sys,--system,--system-prompt",
            "TEXT",
            "What the model is told first.",
            v -> system = v)
        .flag(
            "--raw",
            "Give the text to the model as it is, without its chat template.",
            () -> raw = true);
    model.declare(table);
    answer.declare(table);
    table
        .group("Output:")
        .flag("--json", "Write events: one JSON object a line.", () -> json = true)
        .flag("--stats", "Tell what the answer cost.", () -> stats = true)
        .flag("-q,--quiet", "No notes on standard error.", () -> quiet = true);
    declareVerbose(table);
    sampling.declare(table);
    context.declare(table);
    overflow.declare(table);
    cache.declare(table);
    adapters.declare(table);
  }

  @Override
  void verbose() {
    super.verbose();
    stats = true;
  }

  @Override
  int call(Io io) {
    RunOutput output = json ? new JsonOutput(io) : new PlainOutput(io, quiet, stats);
    Cancellation cancellation = Cancellation.create();
    try (Interrupts _ = Interrupts.cancelling(cancellation)) {
      return answer(io, output, cancellation);
    } catch (RuntimeException e) {
      ErrorMapper.Outcome outcome = ErrorMapper.map(e);
      if (outcome.exitCode() != ExitCode.PIPE_CLOSED) {
        output.failed(outcome.exitCode(), outcome.line());
      }
      throw e;
    }
  }

  private int answer(Io io, RunOutput output, Cancellation cancellation) {
    GenerationOptions options =
        answer
            .options(sampling.sampler(prompt.isQuestion() || model.isBuiltin()), cancellation)
            .withPrefillProgress(output::progress);
    SparseFlag.requireFits(context.options().sparseAttention(), overflow.options().overflow());
    chunks.open(cache);
    cache.open();
    Preload.start();
    String text = prompt.text(io);
    if (model.isBuiltin() && !quiet) {
      io.note(BuiltinModel.NOTE);
    }
    try (LlamaModel loaded = model.load(io, quiet, cancellation)) {
      ChunkPrompt parts = chunks.isGiven() ? parts(io, loaded, text) : null;
      Prompt read = parts == null ? read(io, loaded, text) : parts.whole();
      int[] tokens = read.tokens();
      ContextPlan plan =
          ContextPlan.of(
              parts == null
                  ? overflow.atOnce(tokens.length, context.contextTokens())
                  : tokens.length,
              cache.room(tokens.length, answer.maxTokens()),
              loaded,
              context);
      if (parts != null) {
        ChunkFlags.requireFits(plan, overflow, tokens.length);
      }
      if (plan.note().isPresent() && !quiet) {
        io.note(plan.note().get());
      }
      SparseFlag.warn(io, plan.options().sparseAttention());
      try (LlamaContext opened = loaded.newContext(plan.options())) {
        adapters.apply(loaded, opened);
        output.start(
            loaded.file().path(), tokens.length, opened.contextTokens(), loaded.tokenizer());
        try (LlamaSession session =
            OverflowFlags.newSession(opened, cache.options(overflow.options()))) {
          if (parts != null) {
            return answer(
                io, loaded, plan, session, parts, read.with(options), output, cancellation);
          }
          int reused = cache.restore(session, tokens, context, note -> note(io, note));
          int[] rest = Arrays.copyOfRange(tokens, reused, tokens.length);
          int code;
          try (Generation generation = session.generate(rest, read.with(options))) {
            code = show(generation, output);
          }
          cache.save(session, note -> note(io, note));
          return code;
        }
      }
    }
  }

  /** Answers behind chunks. */
  private int answer(
      Io io,
      LlamaModel loaded,
      ContextPlan plan,
      LlamaSession session,
      ChunkPrompt parts,
      GenerationOptions options,
      RunOutput output,
      Cancellation cancellation) {
    // Memory for the comparison is asked for before the answer, not after it.
    try (@Nullable LlamaContext other =
        chunks.isChecked() ? chunks.reference(loaded, plan.options(), adapters) : null) {
      Optional<Duration> left = assemble(session, parts, output, cancellation);
      int chunkTokens = session.size();
      int code;
      try (Generation generation =
          session.generate(
              parts.rest(), left.isPresent() ? options.withDeadline(left.get()) : options)) {
        code = show(generation, output);
      }
      if (other != null && session.droppedTokens() > 0) {
        note(io, "not compared with a full reading: a part of the text was dropped (--overflow)");
      } else if (other != null && code == ExitCode.OK) {
        output.compared(ChunkFlags.compare(session, chunkTokens, other, cancellation));
      }
      return code;
    }
  }

  /** Puts the chunks into the session; returns the time that is left for the answer. */
  private Optional<Duration> assemble(
      LlamaSession session, ChunkPrompt parts, RunOutput output, Cancellation cancellation) {
    TimeLimit limit = TimeLimit.of(answer.timeout(), cancellation);
    try (limit) {
      output.chunks(chunks.assemble(session, parts, cancellation, output));
    } catch (OperationCancelledException e) {
      if (!limit.isOver()) {
        throw e;
      }
    }
    if (limit.isOver()) {
      throw CliException.timeout("the time of --timeout was over before the chunks were read");
    }
    return limit.left();
  }

  private void note(Io io, String line) {
    if (!quiet) {
      io.note(line);
    }
  }

  private void noteTemplate(Io io, LlamaModel loaded) {
    if (!raw && !quiet && loaded.metadata().chatTemplate().isEmpty()) {
      io.note("the model has no chat template: the text goes in as it is (--raw says so)");
    }
  }

  private ChunkPrompt parts(Io io, LlamaModel loaded, String text) {
    noteTemplate(io, loaded);
    return chunks.prompt(loaded, raw ? ChunkPrompt.raw() : ChunkPrompt.chat(loaded, system), text);
  }

  private Prompt read(Io io, LlamaModel loaded, String text) {
    noteTemplate(io, loaded);
    if (raw) {
      return Prompt.raw(loaded, text);
    }
    return Prompt.chat(
        loaded,
        system == null
            ? List.of(ChatMessage.user(text))
            : List.of(ChatMessage.system(system), ChatMessage.user(text)));
  }

  private static int show(Generation generation, RunOutput output) {
    for (Piece piece : generation) {
      output.piece(piece);
    }
    StopReason reason = generation.stopReason().orElseThrow();
    output.end(reason, generation.usage());
    return switch (reason) {
      case CANCELLED -> ExitCode.INTERRUPTED;
      case DEADLINE -> ExitCode.TIMEOUT;
      default -> ExitCode.OK;
    };
  }
}
