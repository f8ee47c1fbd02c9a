package dev.gatun.cli;

import dev.gatun.ChunkDivergence;
import dev.gatun.ChunkReport;
import dev.gatun.Piece;
import dev.gatun.StopReason;
import dev.gatun.TokenProbability;
import dev.gatun.TokenUsage;
import dev.gatun.Tokenizer;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonGenerator;

/** The answer as events, one JSON object a line: start, prompt, token, end or error. */
final class JsonOutput implements RunOutput {
  private final Io io;
  private final StringBuilder text = new StringBuilder();
  private @Nullable Tokenizer tokenizer;

  JsonOutput(Io io) {
    this.io = io;
  }

  @Override
  public void start(Path model, int promptTokens, int contextTokens, Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
    event(
        "start",
        json -> {
          json.writeStringProperty("model", model.toString());
          json.writeNumberProperty("promptTokens", promptTokens);
          json.writeNumberProperty("contextTokens", contextTokens);
        });
  }

  @Override
  public void progress(int done, int total) {
    event(
        "prompt",
        json -> {
          json.writeNumberProperty("done", done);
          json.writeNumberProperty("total", total);
        });
  }

  @Override
  public void chunks(ChunkFlags.Summary summary) {
    ChunkReport report = summary.assembly();
    event(
        "chunks",
        json -> {
          json.writeNumberProperty("chunks", summary.documents());
          json.writeNumberProperty("read", summary.read());
          json.writeNumberProperty("reusedTokens", report.reusedTokens());
          json.writeNumberProperty("recomputedTokens", report.recomputedTokens());
          json.writeNumberProperty("readSeconds", Stats.seconds(summary.reading()));
          json.writeNumberProperty("placeSeconds", Stats.seconds(report.placing()));
          json.writeNumberProperty("recomputeSeconds", Stats.seconds(report.recomputing()));
        });
  }

  @Override
  public void compared(ChunkDivergence divergence) {
    event(
        "chunk_check",
        json -> {
          json.writeNumberProperty("tokens", divergence.positions());
          json.writeNumberProperty("klMean", divergence.mean());
          json.writeNumberProperty("klMaximum", divergence.largest());
          json.writeNumberProperty(
              "topAgreement", (double) divergence.sameChoice() / divergence.positions());
        });
  }

  @Override
  public void piece(Piece piece) {
    text.append(piece.text());
    event(
        "token",
        json -> {
          json.writeNumberProperty("id", piece.token());
          json.writeStringProperty("text", piece.text());
          if (piece.logProbability().isPresent()) {
            json.writeNumberProperty("logprob", piece.logProbability().getAsDouble());
            alternatives(json, piece.alternatives());
          }
        });
  }

  private void alternatives(JsonGenerator json, List<TokenProbability> alternatives) {
    json.writeName("top");
    json.writeStartArray();
    for (TokenProbability alternative : alternatives) {
      json.writeStartObject();
      json.writeNumberProperty("id", alternative.token());
      json.writeStringProperty(
          "text", Objects.requireNonNull(tokenizer).decode(new int[] {alternative.token()}));
      json.writeNumberProperty("logprob", alternative.logProbability());
      json.writeEndObject();
    }
    json.writeEndArray();
  }

  @Override
  public void end(StopReason reason, TokenUsage usage) {
    event(
        "end",
        json -> {
          json.writeStringProperty("stop", reason.name().toLowerCase(Locale.ROOT));
          json.writeStringProperty("text", text.toString());
          json.writeName("usage");
          usage(json, usage);
        });
  }

  private static void usage(JsonGenerator json, TokenUsage usage) {
    json.writeStartObject();
    json.writeNumberProperty("promptTokens", usage.promptTokens());
    json.writeNumberProperty("cachedTokens", usage.cachedTokens());
    json.writeNumberProperty("completionTokens", usage.completionTokens());
    json.writeNumberProperty("droppedTokens", usage.droppedTokens());
    json.writeNumberProperty("promptSeconds", Stats.seconds(usage.promptTime()));
    json.writeNumberProperty("generationSeconds", Stats.seconds(usage.generationTime()));
    json.writeNumberProperty("promptTokensPerSecond", usage.promptTokensPerSecond());
    json.writeNumberProperty("completionTokensPerSecond", usage.completionTokensPerSecond());
    json.writeEndObject();
  }

  @Override
  public void failed(int exitCode, String line) {
    event(
        "error",
        json -> {
          json.writeNumberProperty("exitCode", exitCode);
          json.writeStringProperty("message", line);
        });
  }

  private void event(String name, Json.Body body) {
    io.line(
        Json.line(
            json -> {
              json.writeStringProperty("event", name);
              body.write(json);
            }));
  }
}
