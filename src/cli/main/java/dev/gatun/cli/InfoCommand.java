package dev.gatun.cli;

import dev.gatun.gguf.GgufFile;
import dev.gatun.gguf.GgufTensor;
import dev.gatun.gguf.ModelMetadata;
import dev.gatun.gguf.RopeMetadata;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Tells what a model file holds. Pure Java: works where the native libraries do not. */
final class InfoCommand extends Command {
  /** What text output shows in a table of its own. */
  private static final Set<String> TABLES = Set.of("kvCells", "longerTexts");

  private @Nullable Path file;
  private boolean tensors;
  private boolean metadata;
  private boolean template;
  private boolean json;

  @Override
  String name() {
    return "info";
  }

  @Override
  String summary() {
    return "Tells what a GGUF file holds; needs no native library";
  }

  @Override
  void declare(OptionTable table) {
    table
        .positional(
            "FILE", "GGUF file; the built-in model when left out.", 1, v -> file = Path.of(v))
        .value("-m,--model", "FILE", "The same.", v -> file = Path.of(v))
        .flag("--tensors", "List the tensors.", () -> tensors = true)
        .flag("--metadata", "List every metadata value.", () -> metadata = true)
        .flag("--template", "Print the chat template and nothing else.", () -> template = true)
        .flag("--json", "Write JSON, everything in it.", () -> json = true);
  }

  @Override
  int call(Io io) {
    GgufFile gguf = GgufFile.open(file == null ? BuiltinModel.path() : ModelFlags.existing(file));
    if (template) {
      io.line(
          gguf.model()
              .chatTemplate()
              .orElseThrow(() -> CliException.usage(gguf.path() + " has no chat template")));
      return ExitCode.OK;
    }
    Map<String, Object> facts = facts(gguf);
    if (json) {
      io.line(InfoJson.of(gguf, facts));
      return ExitCode.OK;
    }
    StringBuilder text = new StringBuilder();
    facts.forEach(
        (key, value) -> {
          if (!TABLES.contains(key)) {
            text.append(String.format(Locale.ROOT, "%-18s %s%n", words(key), shown(key, value)));
          }
        });
    io.print(text.toString());
    io.print(KvTable.table(gguf));
    io.print(LongerTexts.table(gguf));
    if (metadata) {
      io.print(metadata(gguf));
    }
    if (tensors) {
      io.print(tensors(gguf));
    }
    return ExitCode.OK;
  }

  /** Returns what there is to know, in the order in which people want it; keys as in JSON. */
  private static Map<String, Object> facts(GgufFile gguf) {
    ModelMetadata model = gguf.model();
    Facts facts = new Facts();
    facts.put("file", gguf.path().toString());
    facts.put("format", "GGUF " + gguf.version());
    if (gguf.parts().size() > 1) {
      facts.put("parts", gguf.parts().size());
    }
    facts.put("name", model.name());
    facts.put("architecture", model.architecture());
    facts.put("quantisation", model.quantisation());
    facts.put("parameters", gguf.parameterCount());
    facts.put("fileBytes", gguf.fileBytes());
    facts.put("tensorCount", gguf.tensors().size());
    facts.put("tensorBytes", gguf.tensorBytes());
    facts.put("trainedContext", model.trainedContextTokens());
    facts.put("layers", model.layerCount());
    facts.put("embeddingLength", model.embeddingLength());
    facts.put("heads", model.headCount(0));
    facts.put("kvHeads", model.kvHeadCount(0));
    facts.put("headSizeK", model.headSizeK());
    facts.put("headSizeV", model.headSizeV());
    facts.put("feedForwardLength", model.feedForwardLength(0));
    facts.put("experts", model.expertCount());
    facts.put("expertsUsed", model.expertUsedCount(0));
    facts.put("slidingWindow", model.slidingWindowTokens());
    facts.put("recurrentState", model.recurrentStateSize());
    RopeMetadata rope = model.rope();
    facts.put("ropeBase", rope.base());
    facts.put("ropeDimensions", rope.dimensions());
    facts.put("ropeScaling", rope.scalingType());
    facts.put("ropeFactor", rope.scalingFactor());
    facts.put("ropeOriginal", rope.originalContextTokens());
    facts.put("yarnBetaFast", rope.yarnBetaFast());
    facts.put("yarnBetaSlow", rope.yarnBetaSlow());
    facts.put("kvCells", KvTable.facts(gguf));
    facts.put("longerTexts", LongerTexts.facts(gguf));
    facts.put("tokenizer", model.tokenizerModel());
    facts.put("tokenizerPre", model.tokenizerPre());
    facts.put("vocabulary", model.vocabularySize());
    if (!model.specialTokens().isEmpty()) {
      facts.put("specialTokens", model.specialTokens());
    }
    facts.put("addsBegin", model.addsBeginOfSequence());
    facts.put("chatTemplate", model.chatTemplate());
    return facts.values;
  }

  /** Leaves out what the file does not state. */
  private static final class Facts {
    private final Map<String, Object> values = new LinkedHashMap<>();

    void put(String key, Object value) {
      switch (value) {
        case Optional<?> o -> o.ifPresent(v -> values.put(key, v));
        case OptionalInt o -> o.ifPresent(v -> values.put(key, (long) v));
        case OptionalLong o -> o.ifPresent(v -> values.put(key, v));
        case OptionalDouble o -> o.ifPresent(v -> values.put(key, v));
        case Integer i -> values.put(key, (long) i);
        default -> values.put(key, value);
      }
    }
  }

  private static String words(String key) {
    StringBuilder words = new StringBuilder();
    for (char c : key.toCharArray()) {
      if (Character.isUpperCase(c)) {
        words.append(' ');
      }
      words.append(Character.toLowerCase(c));
    }
    return words.toString();
  }

  private static String shown(String key, Object value) {
    return switch (value) {
      case Long number when key.endsWith("Bytes") ->
          Values.bytes(number) + " (" + Values.grouped(number) + " bytes)";
      case Long number -> Values.grouped(number);
      case String text when key.equals("chatTemplate") ->
          Values.grouped(text.length()) + " characters (--template prints it)";
      case Map<?, ?> map -> {
        StringBuilder text = new StringBuilder();
        map.forEach((k, v) -> text.append(text.isEmpty() ? "" : ", ").append(k + " " + v));
        yield text.toString();
      }
      default -> value.toString();
    };
  }

  private static String metadata(GgufFile gguf) {
    Table table = new Table("key", "type", "value");
    gguf.metadata()
        .forEach(
            (key, value) -> {
              String text = value.toString().replace("\n", "\\n");
              table.row(
                  key,
                  value.type().name().toLowerCase(Locale.ROOT),
                  text.length() > 100 ? text.substring(0, 97) + "..." : text);
            });
    return "\n" + table;
  }

  private static String tensors(GgufFile gguf) {
    Table table = new Table("tensor", "type", "shape", "bytes", "part", "offset");
    for (GgufTensor tensor : gguf.tensors()) {
      table.row(
          tensor.name(),
          tensor.type().name(),
          tensor.shape(),
          Values.grouped(tensor.bytes()),
          Integer.toString(tensor.part()),
          Long.toString(tensor.fileOffset()));
    }
    return "\n" + table;
  }
}
