package dev.gatun.cli;

import dev.gatun.Cancellation;
import dev.gatun.ContextOptions;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.MemoryUse;
import dev.gatun.gguf.GgufFile;
import dev.gatun.kv.KvLayout;
import dev.gatun.kv.KvPlan;
import dev.gatun.rope.RopeScaling;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import tools.jackson.core.JsonGenerator;

/**
 * Tells what a model and a context will take, before a byte of weights is read; beside it, when
 * asked, what they do take.
 */
final class PlanCommand extends Command {
  private final ModelFlags model = new ModelFlags();
  private final ContextFlags context = new ContextFlags();
  private int sequences = 1;
  private boolean unified = true;
  private boolean measure;
  private boolean json;

  @Override
  String name() {
    return "plan";
  }

  @Override
  String summary() {
    return "Tells what a model and its context will take, before it is loaded";
  }

  @Override
  String footer() {
    return """
    Without --measure no weights are read and no native library is needed.

      gatun plan model.gguf -c 32768 --kv-k q8_0 --kv-v q8_0 -fa on
      gatun plan model.gguf -c 8192 -np 4 --measure
    """;
  }

  @Override
  void declare(OptionTable table) {
    table.positional("FILE", "GGUF file, as with -m.", 1, model::file);
    model.declare(table);
    context.declare(table);
    table
        .group("Plan:")
        .value(
            "-np,--parallel",
            "N",
            "Sequences at a time (1).",
            v -> sequences = Values.whole("-np", v, 1, 256))
        .flag(
            "-no-kvu,--no-kv-unified",
            "Give each sequence its own share of the cells, not one pool for all.",
            () -> unified = false)
        .flag("--measure", "Load the model and show what it does take.", () -> measure = true)
        .flag("--json", "Write JSON.", () -> json = true);
  }

  @Override
  int call(Io io) {
    GgufFile gguf = GgufFile.open(model.path());
    ContextOptions options = context.options().withMaxSequences(sequences).withUnifiedKv(unified);
    long trained = gguf.model().trainedContextTokens().orElse(0);
    Optional<KvLayout> layout = KvLayout.of(gguf.model());
    if (layout.isPresent() && !layout.get().accepts(options.keyType(), options.valueType())) {
      throw CliException.usage(
          "this model's heads do not fit cells of types "
              + ContextFlags.kvName(options.keyType())
              + " and "
              + ContextFlags.kvName(options.valueType())
              + "; `gatun info` lists those that do");
    }
    Optional<KvPlan> plan =
        layout.map(known -> known.plan(options.kvSettings((int) Math.min(trained, 1 << 30))));
    Optional<Measured> measured = measure ? Optional.of(measured(io, options)) : Optional.empty();
    if (json) {
      io.line(Json.pretty(out -> write(out, gguf, plan, measured)));
    } else {
      io.print(text(gguf, plan, measured));
    }
    return ExitCode.OK;
  }

  /** What the native side reports, over all devices. */
  private record Measured(long weights, long kv, long compute) {}

  private Measured measured(Io io, ContextOptions options) {
    try (LlamaModel loaded = model.load(io, json, Cancellation.never());
        LlamaContext made = loaded.newContext(options.withRopeScaling(scaling(loaded)))) {
      List<MemoryUse> uses = made.memory();
      return new Measured(
          uses.stream().mapToLong(MemoryUse::modelBytes).sum(),
          uses.stream().mapToLong(MemoryUse::contextBytes).sum(),
          uses.stream().mapToLong(MemoryUse::computeBytes).sum());
    }
  }

  /** A context longer than the trained length is made only with a scaling. */
  private RopeScaling scaling(LlamaModel loaded) {
    return context.contextTokens().isPresent()
        ? ContextPlan.of(1, OptionalInt.of(1), loaded, context).options().ropeScaling()
        : context.rope.fixed().orElse(context.options().ropeScaling());
  }

  private static String text(GgufFile gguf, Optional<KvPlan> plan, Optional<Measured> measured) {
    StringBuilder text = new StringBuilder();
    plan.ifPresent(
        known ->
            text.append(
                String.format(
                    Locale.ROOT,
                    "%,d tokens of context, at most %,d in one of %,d sequences; keys %s, values %s%n%n",
                    known.contextTokens(),
                    known.sequenceTokens(),
                    known.settings().maxSequences(),
                    ContextFlags.kvName(known.settings().keyType()),
                    ContextFlags.kvName(known.settings().valueType()))));
    Table table = new Table("", "layers", "cells", "bytes/cell", "predicted", "measured");
    table.row(
        "weights",
        "",
        "",
        "",
        shown(gguf.tensorBytes()),
        measured.map(m -> shown(m.weights())).orElse(""));
    plan.ifPresent(known -> known.groups().forEach(group -> row(table, group)));
    table.row(
        "cells and states",
        "",
        "",
        "",
        plan.map(known -> shown(known.totalBytes())).orElse("unknown"),
        measured.map(m -> shown(m.kv())).orElse(""));
    measured.ifPresent(m -> table.row("compute buffers", "", "", "", "", shown(m.compute())));
    return text.append(table).toString();
  }

  private static void row(Table table, KvPlan.Group group) {
    table.row(
        "  " + group.kind().name().toLowerCase(Locale.ROOT).replace('_', ' '),
        Integer.toString(group.layers()),
        Values.grouped(group.cells()),
        Values.grouped(group.bytesPerCell()),
        shown(group.bytes()),
        "");
  }

  private static String shown(long bytes) {
    return Values.grouped(bytes) + " (" + Values.bytes(bytes) + ")";
  }

  private static void write(
      JsonGenerator out, GgufFile gguf, Optional<KvPlan> plan, Optional<Measured> measured) {
    out.writeStartObject();
    out.writeNumberProperty("weightBytes", gguf.tensorBytes());
    plan.ifPresent(known -> write(out, known));
    measured.ifPresent(
        m -> {
          out.writeNumberProperty("measuredWeightBytes", m.weights());
          out.writeNumberProperty("measuredKvBytes", m.kv());
          out.writeNumberProperty("measuredComputeBytes", m.compute());
        });
    out.writeEndObject();
  }

  private static void write(JsonGenerator out, KvPlan plan) {
    out.writeNumberProperty("contextTokens", plan.contextTokens());
    out.writeNumberProperty("sequenceTokens", plan.sequenceTokens());
    out.writeNumberProperty("sequences", plan.settings().maxSequences());
    out.writeStringProperty("keys", ContextFlags.kvName(plan.settings().keyType()));
    out.writeStringProperty("values", ContextFlags.kvName(plan.settings().valueType()));
    out.writeNumberProperty("bytesPerToken", plan.bytesPerToken());
    out.writeNumberProperty("kvBytes", plan.totalBytes());
    out.writeName("groups");
    out.writeStartArray();
    for (KvPlan.Group group : plan.groups()) {
      out.writeStartObject();
      out.writeStringProperty("kind", group.kind().name().toLowerCase(Locale.ROOT));
      out.writeNumberProperty("layers", group.layers());
      out.writeNumberProperty("cells", group.cells());
      out.writeNumberProperty("bytesPerCell", group.bytesPerCell());
      out.writeNumberProperty("bytes", group.bytes());
      out.writeEndObject();
    }
    out.writeEndArray();
  }
}
