package dev.gatun.cli;

/**
 * The flags that several commands take alike: names, form of the value and help, each said once.
 * What a value means is up to the command; {@code bench} reads lists.
 */
enum SharedFlag {
  BATCH("-b,--batch-size", "N", "Tokens handed over at once (2048)."),
  MICRO_BATCH("-ub,--ubatch-size", "N", "Tokens computed at once (512)."),
  THREADS("-t,--threads", "N", "Threads."),
  BATCH_THREADS("-tb,--threads-batch", "N", "Threads while reading (as -t)."),
  KEY_TYPE(
      "-ctk,--kv-k",
      "TYPE",
      "Type of the keys in the KV cache: " + String.join(", ", ContextFlags.KV_TYPES) + " (f16)."),
  VALUE_TYPE("-ctv,--kv-v", "TYPE", "Type of the values in the KV cache (f16)."),
  FLASH_ATTENTION("-fa,--flash-attn", "on|off|auto", "Flash attention (auto)."),
  SPARSE(SparseFlag.NAME, "SPEC", SparseFlag.HELP),
  FULL_WINDOW("--swa-full", "", "Keep the whole KV cache of sliding-window layers."),
  POLL("--poll", "0..100", "How eagerly threads wait for work (50)."),
  ANSWER_TOKENS(
      "--answer-tokens", "N", "Most tokens of an answer; they count into the length (24)."),
  SEED("-s,--seed", "N", "Seed of what is drawn: texts, facts, questions (0)."),
  VERBOSE("-v,--verbose", "", "Show the native side's log on standard error.");

  private final String names;
  private final String label;
  private final String text;

  SharedFlag(String names, String label, String text) {
    this.names = names;
    this.label = label;
    this.text = text;
  }

  /** Returns all names, separated by commas. */
  String names() {
    return names;
  }

  /** Returns what the value is, for help; empty for a flag without one. */
  String label() {
    return label;
  }

  /** Returns one sentence of help. */
  String text() {
    return text;
  }
}
