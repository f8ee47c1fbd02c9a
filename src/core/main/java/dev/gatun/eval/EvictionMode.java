package dev.gatun.eval;

import java.util.Locale;

/** When cells are evicted, and what is measured then. */
public enum EvictionMode {
  /** The whole prompt was read, the question included; then the answer is generated. */
  KNOWN,
  /** The text was read, the question comes after the eviction. */
  UNKNOWN,
  /** The first half of a text was read; then the perplexity of the second half is measured. */
  TEXT;

  /** Returns its name in tables and files. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }
}
