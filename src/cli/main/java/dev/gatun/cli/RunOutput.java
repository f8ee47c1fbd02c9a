package dev.gatun.cli;

import dev.gatun.ChunkDivergence;
import dev.gatun.Piece;
import dev.gatun.StopReason;
import dev.gatun.TokenUsage;
import dev.gatun.Tokenizer;
import java.nio.file.Path;

/** What {@code run} shows of an answer while it comes. */
interface RunOutput {
  /** The model is loaded and the text is read into tokens. */
  void start(Path model, int promptTokens, int contextTokens, Tokenizer tokenizer);

  /** So many tokens of the prompt are read. */
  void progress(int done, int total);

  /** Documents were read as chunks and put together. */
  void chunks(ChunkFlags.Summary summary);

  /** Question and answer behind chunks were compared with the same after a full reading. */
  void compared(ChunkDivergence divergence);

  /** A token came. */
  void piece(Piece piece);

  /** The answer is over. */
  void end(StopReason reason, TokenUsage usage);

  /** The command fails after all. */
  void failed(int exitCode, String line);
}
