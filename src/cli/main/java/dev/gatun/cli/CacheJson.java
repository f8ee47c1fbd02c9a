package dev.gatun.cli;

import dev.gatun.kv.StateFacts;
import dev.gatun.kv.StateStore;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import tools.jackson.core.JsonGenerator;

/** What is known of a state file, as a line of JSON or as text. */
final class CacheJson {
  private CacheJson() {}

  /** A file of a store; what it says about itself, or why it cannot be read. */
  static String line(StateStore.Entry entry) {
    return Json.line(
        json -> {
          json.writeStringProperty("file", entry.path().toString());
          json.writeNumberProperty("bytes", entry.bytes());
          json.writeStringProperty("used", date(entry.used()));
          entry.problem().ifPresent(problem -> json.writeStringProperty("problem", problem));
          entry.facts().ifPresent(facts -> facts(json, facts));
        });
  }

  /** A file that was named. */
  static String line(StateFacts facts) {
    return Json.line(
        json -> {
          json.writeStringProperty("file", facts.path().toString());
          json.writeNumberProperty("bytes", facts.fileBytes());
          facts(json, facts);
        });
  }

  /** The outcome of a check. */
  static String verified(Path file, Optional<String> problem) {
    return Json.line(
        json -> {
          json.writeStringProperty("file", file.toString());
          json.writeBooleanProperty("sound", problem.isEmpty());
          problem.ifPresent(text -> json.writeStringProperty("problem", text));
        });
  }

  private static void facts(JsonGenerator json, StateFacts facts) {
    json.writeNumberProperty("version", facts.version());
    json.writeStringProperty("created", date(facts.created()));
    json.writeStringProperty("label", facts.label());
    json.writeStringProperty("model", facts.modelName());
    json.writeStringProperty("fingerprint", facts.fingerprint());
    json.writeNumberProperty("contextTokens", facts.contextTokens());
    json.writeNumberProperty("tokens", facts.tokens());
    json.writeNumberProperty("readTokens", facts.decoded());
    json.writeNumberProperty("cellBytes", facts.cellBytes());
    json.writeName("checkpoints");
    json.writeStartArray();
    facts.checkpoints().forEach(json::writeNumber);
    json.writeEndArray();
    json.writeNumberProperty("checkpointBytes", facts.checkpointBytes());
    json.writeName("settings");
    json.writeStartObject();
    facts.settings().entries().forEach(json::writeStringProperty);
    json.writeEndObject();
  }

  /** The same for people. */
  static String text(StateFacts facts) {
    StringBuilder text = new StringBuilder();
    row(text, "file", facts.path().toString());
    row(text, "format", "state file " + facts.version());
    row(text, "size", Values.bytes(facts.fileBytes()));
    row(text, "created", date(facts.created()));
    if (!facts.label().isEmpty()) {
      row(text, "label", facts.label());
    }
    row(text, "model", facts.modelName());
    row(text, "fingerprint", facts.fingerprint());
    row(text, "context", Values.grouped(facts.contextTokens()) + " tokens");
    row(
        text,
        "tokens",
        Values.grouped(facts.tokens()) + ", " + Values.grouped(facts.decoded()) + " read");
    row(text, "cells", Values.bytes(facts.cellBytes()));
    if (!facts.checkpoints().isEmpty()) {
      row(
          text,
          "checkpoints",
          Values.bytes(facts.checkpointBytes()) + ", after " + tokens(facts.checkpoints()));
    }
    facts.settings().entries().forEach((key, value) -> row(text, key, value));
    return text.toString();
  }

  private static String tokens(List<Integer> counts) {
    return String.join(", ", counts.stream().map(Values::grouped).toList()) + " tokens";
  }

  private static void row(StringBuilder text, String key, String value) {
    text.append(String.format(Locale.ROOT, "%-29s %s%n", key, value));
  }

  /** A time as people and programs read it, in UTC. */
  static String date(Instant time) {
    return time.truncatedTo(ChronoUnit.SECONDS).toString();
  }
}
