package dev.gatun.rope;

import dev.gatun.json.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.UUID;
import java.util.stream.Collectors;

/** Presets as JSON and back. */
final class PresetJson {
  private PresetJson() {}

  static String text(RopePreset preset) {
    List<String> fields = new ArrayList<>();
    preset.model().ifPresent(model -> fields.add(field("model", model(model))));
    fields.add(
        field(
            "factors",
            preset.table().factors().stream()
                .map(String::valueOf)
                .collect(Collectors.joining(", ", "[", "]"))));
    fields.add(field("attention_factor", Double.toString(preset.table().attentionFactor())));
    preset.search().ifPresent(search -> fields.add(field("search", search(search))));
    return object(fields, "\n  ", "\n") + "\n";
  }

  private static String model(RopePreset.Model model) {
    return object(
        List.of(
            field("fingerprint", quoted(model.fingerprint())),
            field("architecture", quoted(model.architecture())),
            field("dimensions", Integer.toString(model.dimensions())),
            field("base", Double.toString(model.base())),
            field("trained_tokens", Integer.toString(model.trainedTokens()))),
        "\n    ",
        "\n  ");
  }

  private static String search(RopePreset.Search search) {
    return object(
        List.of(
            field("target_tokens", Integer.toString(search.targetTokens())),
            field("text", quoted(search.text())),
            field("seed", Long.toString(search.seed())),
            field("evaluations", Integer.toString(search.evaluations())),
            field("date", quoted(search.date().toString())),
            field(
                "perplexities",
                search.scores().stream()
                    .map(PresetJson::score)
                    .collect(Collectors.joining(",\n      ", "[\n      ", "\n    ]")))),
        "\n    ",
        "\n  ");
  }

  private static String score(RopePreset.Score score) {
    List<String> fields = new ArrayList<>();
    fields.add(field("method", quoted(score.method())));
    score.searched().ifPresent(value -> fields.add(field("searched", Double.toString(value))));
    score.heldOut().ifPresent(value -> fields.add(field("held_out", Double.toString(value))));
    return "{" + String.join(", ", fields) + "}";
  }

  private static String object(List<String> fields, String before, String after) {
    return fields.stream().collect(Collectors.joining("," + before, "{" + before, after + "}"));
  }

  private static String field(String name, String value) {
    return quoted(name) + ": " + value;
  }

  private static String quoted(String text) {
    StringBuilder out = new StringBuilder();
    Json.quote(out, text);
    return out.toString();
  }

  static RopePreset read(String json) {
    try {
      Map<String, Object> fields = Json.parseObject(json);
      double attention =
          fields.containsKey("attention_factor") ? real(fields, "attention_factor") : 1;
      return new RopePreset(
          new FactorTable(HuggingFaceRope.table(fields, "factors"), attention),
          part(fields, "model").map(PresetJson::readModel),
          part(fields, "search").map(PresetJson::readSearch));
    } catch (Json.JsonException e) {
      throw new IllegalArgumentException(
          "a table is JSON with \"factors\" and perhaps \"attention_factor\", but "
              + e.getMessage(),
          e);
    }
  }

  private static RopePreset.Model readModel(Map<?, ?> fields) {
    return new RopePreset.Model(
        text(fields, "fingerprint"),
        text(fields, "architecture"),
        (int) whole(fields, "dimensions", Integer.MAX_VALUE),
        real(fields, "base"),
        (int) whole(fields, "trained_tokens", Integer.MAX_VALUE));
  }

  private static RopePreset.Search readSearch(Map<?, ?> fields) {
    if (!(fields.get("perplexities") instanceof List<?> list)) {
      throw new IllegalArgumentException("\"perplexities\" must be a list");
    }
    List<RopePreset.Score> scores = new ArrayList<>();
    for (Object element : list) {
      if (!(element instanceof Map<?, ?> score)) {
        throw new IllegalArgumentException("\"perplexities\" must be a list of objects");
      }
      scores.add(
          new RopePreset.Score(
              text(score, "method"), perhaps(score, "searched"), perhaps(score, "held_out")));
    }
    String date = text(fields, "date");
    try {
      return new RopePreset.Search(
          (int) whole(fields, "target_tokens", Integer.MAX_VALUE),
          text(fields, "text"),
          whole(fields, "seed", Long.MAX_VALUE),
          (int) whole(fields, "evaluations", Integer.MAX_VALUE),
          scores,
          Instant.parse(date));
    } catch (DateTimeException e) {
      throw new IllegalArgumentException("\"date\" must be a time, not '" + date + "'", e);
    }
  }

  private static Optional<Map<?, ?>> part(Map<String, Object> fields, String key) {
    Object value = fields.get(key);
    if (value == null) {
      return Optional.empty();
    }
    if (value instanceof Map<?, ?> map) {
      return Optional.of(map);
    }
    throw new IllegalArgumentException("\"" + key + "\" must be an object");
  }

  private static String text(Map<?, ?> fields, String key) {
    if (fields.get(key) instanceof String text) {
      return text;
    }
    throw new IllegalArgumentException("\"" + key + "\" must be a text");
  }

  private static double real(Map<?, ?> fields, String key) {
    if (fields.get(key) instanceof Number number) {
      return number.doubleValue();
    }
    throw new IllegalArgumentException("\"" + key + "\" must be a number");
  }

  private static OptionalDouble perhaps(Map<?, ?> fields, String key) {
    return fields.containsKey(key) ? OptionalDouble.of(real(fields, key)) : OptionalDouble.empty();
  }

  private static long whole(Map<?, ?> fields, String key, long most) {
    if (fields.get(key) instanceof Long number && number <= most && number >= -most) {
      return number;
    }
    throw new IllegalArgumentException("\"" + key + "\" must be a whole number");
  }

  /** Writes a file whole or not at all. */
  static void write(String text, Path target) {
    Path absolute = target.toAbsolutePath();
    Path folder = Objects.requireNonNull(absolute.getParent(), "a file lies in a folder");
    // Not createTempFile, whose files only their owner may read.
    Path temporary =
        folder.resolve("." + absolute.getFileName() + "." + UUID.randomUUID() + ".part");
    try {
      try (FileChannel channel =
          FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        ByteBuffer bytes = StandardCharsets.UTF_8.encode(text);
        while (bytes.hasRemaining()) {
          channel.write(bytes);
        }
        channel.force(true);
      }
      try {
        Files.move(temporary, absolute, StandardCopyOption.ATOMIC_MOVE);
      } catch (AtomicMoveNotSupportedException e) {
        Files.move(temporary, absolute, StandardCopyOption.REPLACE_EXISTING);
      }
    } catch (IOException e) {
      try {
        Files.deleteIfExists(temporary);
      } catch (IOException left) {
        e.addSuppressed(left);
      }
      throw new UncheckedIOException(target + " cannot be written: " + e, e);
    }
  }
}
