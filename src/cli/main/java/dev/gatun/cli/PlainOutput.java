package dev.gatun.cli;

import dev.gatun.ChunkDivergence;
import dev.gatun.Piece;
import dev.gatun.StopReason;
import dev.gatun.TokenUsage;
import dev.gatun.Tokenizer;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** The answer as text on standard output; a progress bar for people who wait. */
final class PlainOutput implements RunOutput {
  private final Io io;
  private final boolean quiet;
  private final boolean stats;
  private @Nullable ProgressBar bar;
  private boolean lineOpen;

  PlainOutput(Io io, boolean quiet, boolean stats) {
    this.io = io;
    this.quiet = quiet;
    this.stats = stats;
  }

  @Override
  public void start(Path model, int promptTokens, int contextTokens, Tokenizer tokenizer) {
    if (!quiet && io.errTerminal()) {
      bar = new ProgressBar(io, "reading " + Values.grouped(promptTokens) + " tokens");
    }
  }

  @Override
  public void progress(int done, int total) {
    if (bar != null) {
      bar.update((double) done / total);
    }
  }

  @Override
  public void chunks(ChunkFlags.Summary summary) {
    closeBar();
    if (!quiet) {
      io.note(Stats.line(summary));
    }
  }

  @Override
  public void compared(ChunkDivergence divergence) {
    if (!quiet) {
      io.note(Stats.line(divergence));
    }
  }

  @Override
  public void piece(Piece piece) {
    closeBar();
    String text = piece.text();
    if (!text.isEmpty()) {
      io.print(text);
      lineOpen = text.charAt(text.length() - 1) != '\n';
    }
  }

  @Override
  public void end(StopReason reason, TokenUsage usage) {
    closeBar();
    if (lineOpen) {
      io.print("\n");
    }
    if (!quiet && reason == StopReason.CONTEXT_FULL) {
      io.note("the answer was cut because the context is full; raise -c/--ctx-size");
    }
    if (!quiet && usage.droppedTokens() > 0) {
      io.note(
          Values.grouped(usage.droppedTokens())
              + " tokens were dropped to make room, as --overflow asks");
    }
    if (stats) {
      io.note(Stats.line(usage, reason));
    }
  }

  @Override
  public void failed(int exitCode, String line) {
    closeBar();
    if (lineOpen) {
      io.print("\n");
    }
  }

  private void closeBar() {
    if (bar != null) {
      bar.close();
      bar = null;
    }
  }
}
