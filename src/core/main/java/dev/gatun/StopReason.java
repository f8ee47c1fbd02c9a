package dev.gatun;

/** Why a generation ended. */
public enum StopReason {
  /** The model said that it is done: an end-of-generation token. */
  END_OF_GENERATION,
  /** One of the stop strings came up; it is not part of the text. */
  STOP_STRING,
  /** The token budget is spent. */
  TOKEN_BUDGET,
  /** The context is full. */
  CONTEXT_FULL,
  /** The deadline passed, in the prefill or between tokens. */
  DEADLINE,
  /** The caller cancelled or closed the generation. */
  CANCELLED
}
