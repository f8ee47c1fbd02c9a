package dev.gatun.eval;

import dev.gatun.json.Json;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/** Points as JSON and back. */
final class PointJson {
  private static final double NANOS = 1e9;

  private final StringBuilder out = new StringBuilder("{");

  private PointJson() {}

  static String write(EvalPoint point) {
    PointJson json = new PointJson();
    json.fields(point);
    return json.out.append('}').toString();
  }

  /** Returns the point with two fields before its own. */
  static String write(String key, String identity, EvalPoint point) {
    PointJson json = new PointJson();
    json.text("key", key);
    json.text("identity", identity);
    json.fields(point);
    return json.out.append('}').toString();
  }

  private void fields(EvalPoint point) {
    text("method", point.method());
    number("context", point.contextTokens());
    point.eviction().ifPresent(eviction -> eviction(eviction, point));
    point.depth().ifPresent(depth -> number("depth", depth));
    point.perplexity().ifPresent(this::perplexity);
    if (point.recall().isPresent()) {
      RecallResult recall = point.recall().get();
      number("accuracy", recall.accuracy());
      number("correct", recall.correct());
      number("asked", recall.asked());
      number("trials", recall.trials());
    }
    number("seconds", point.time().toNanos() / NANOS);
  }

  private void eviction(EvictionResult result, EvalPoint point) {
    text("policy", result.policy());
    number("budget", result.budget());
    text("mode", result.mode().label());
    number("cells", result.cells());
    if (result.mode() == EvictionMode.TEXT) {
      number("fullPerplexity", result.fullValue());
    } else {
      number("fullAccuracy", result.fullValue());
      point.recall().ifPresent(recall -> number("ofFull", recall.accuracy() / result.fullValue()));
    }
  }

  private static Optional<EvictionResult> readEviction(Map<String, Object> fields) {
    if (!fields.containsKey("policy")) {
      return Optional.empty();
    }
    if (!(fields.get("policy") instanceof String policy)) {
      throw wrong("policy");
    }
    if (!(fields.get("mode") instanceof String mode)) {
      throw wrong("mode");
    }
    EvictionMode when = EvictionMode.valueOf(mode.toUpperCase(Locale.ROOT));
    return Optional.of(
        new EvictionResult(
            policy,
            real(fields, "budget"),
            when,
            real(fields, "cells"),
            real(fields, when == EvictionMode.TEXT ? "fullPerplexity" : "fullAccuracy")));
  }

  private void perplexity(PerplexityResult result) {
    number("perplexity", result.perplexity());
    number("standardError", result.standardError());
    number("tokens", result.tokens());
    number("windows", result.windows());
    if (!result.bins().isEmpty()) {
      name("bins");
      out.append('[');
      for (PerplexityResult.Bin bin : result.bins()) {
        out.append(out.charAt(out.length() - 1) == '[' ? "{" : ",{");
        number("from", bin.from());
        number("to", bin.to());
        number("tokens", bin.tokens());
        number("perplexity", bin.perplexity());
        out.append('}');
      }
      out.append(']');
    }
    if (result.divergence().isPresent()) {
      PerplexityResult.Divergence divergence = result.divergence().get();
      number("klMean", divergence.mean());
      number("klMaximum", divergence.maximum());
      number("topAgreement", divergence.topAgreement());
      number("referencePerplexity", divergence.referencePerplexity());
    }
  }

  private void name(String name) {
    if (out.charAt(out.length() - 1) != '{') {
      out.append(',');
    }
    Json.quote(out, name);
    out.append(':');
  }

  private void text(String name, String value) {
    name(name);
    Json.quote(out, value);
  }

  private void number(String name, long value) {
    name(name);
    out.append(value);
  }

  private void number(String name, double value) {
    name(name);
    out.append(Double.isFinite(value) ? Double.toString(value) : "null");
  }

  /**
   * Reads a point.
   *
   * @throws IllegalArgumentException if a field is missing or of the wrong type
   */
  static EvalPoint read(Map<String, Object> fields) {
    OptionalDouble depth =
        fields.containsKey("depth")
            ? OptionalDouble.of(real(fields, "depth"))
            : OptionalDouble.empty();
    Optional<PerplexityResult> perplexity =
        fields.containsKey("perplexity") ? Optional.of(readPerplexity(fields)) : Optional.empty();
    Optional<RecallResult> recall =
        fields.containsKey("accuracy")
            ? Optional.of(
                new RecallResult(
                    whole(fields, "correct"), whole(fields, "asked"), whole(fields, "trials")))
            : Optional.empty();
    if (!(fields.get("method") instanceof String method)) {
      throw wrong("method");
    }
    return new EvalPoint(
        method,
        whole(fields, "context"),
        depth,
        perplexity,
        recall,
        Duration.ofNanos(Math.round(real(fields, "seconds") * NANOS)),
        readEviction(fields));
  }

  private static PerplexityResult readPerplexity(Map<String, Object> fields) {
    List<PerplexityResult.Bin> bins = new ArrayList<>();
    if (fields.get("bins") instanceof List<?> list) {
      for (Object element : list) {
        if (!(element instanceof Map<?, ?> bin)) {
          throw wrong("bins");
        }
        bins.add(
            new PerplexityResult.Bin(
                whole(bin, "from"),
                whole(bin, "to"),
                whole(bin, "tokens"),
                real(bin, "perplexity")));
      }
    }
    return new PerplexityResult(
        real(fields, "perplexity"),
        real(fields, "standardError"),
        whole(fields, "tokens"),
        whole(fields, "windows"),
        bins,
        fields.containsKey("klMean")
            ? Optional.of(
                new PerplexityResult.Divergence(
                    real(fields, "klMean"),
                    real(fields, "klMaximum"),
                    real(fields, "topAgreement"),
                    real(fields, "referencePerplexity")))
            : Optional.empty());
  }

  private static double real(Map<?, ?> fields, String name) {
    Object value = fields.get(name);
    if (value instanceof Number number) {
      return number.doubleValue();
    }
    if (value == Json.NULL) {
      return Double.NaN;
    }
    throw wrong(name);
  }

  private static int whole(Map<?, ?> fields, String name) {
    if (fields.get(name) instanceof Long number) {
      return Math.toIntExact(number);
    }
    throw wrong(name);
  }

  private static IllegalArgumentException wrong(String name) {
    return new IllegalArgumentException("the field '" + name + "' is missing or of another type");
  }
}
