package dev.gatun;

import java.nio.file.Path;
import java.util.Optional;

/**
 * What a prefix cache may use. What does not fit into one tier goes to the next one: cells of the
 * context, host memory, a folder; what fits nowhere is forgotten.
 *
 * @param residentTokens most tokens that the cache keeps in the context's own cells; 0 for none.
 *     Sessions that need the cells get them. Without {@link ContextOptions#unifiedKv()} or with one
 *     sequence none can be kept
 * @param residentSequences most sequences of the context that the cache takes for them: one for
 *     each text, however many beginnings the texts share. A session that needs a sequence gets it
 * @param hostBytes most bytes of cells copied to host memory; 0 for none
 * @param disk where cells are written when host memory is used up; empty for nowhere
 * @param exact whether the logits with the cache are, bit by bit, those without it; in a unified
 *     cache of several sequences only of a reproducible context, and not for models with a sliding
 *     window. Only what was read as a part of a text is then reused, in blocks of {@link
 *     PrefixCache#blockTokens()}, and some blocks before the end of a text are read again; what was
 *     generated is not reused
 */
public record PrefixCacheOptions(
    int residentTokens, int residentSequences, long hostBytes, Optional<Disk> disk, boolean exact) {
  private static final PrefixCacheOptions DEFAULTS =
      new PrefixCacheOptions(Integer.MAX_VALUE, 64, 256L << 20, Optional.empty(), true);

  /**
   * A folder for cells. The cache makes files in it and removes them when it is closed.
   *
   * @param folder is created when it is missing
   * @param bytes most bytes of cells in it
   */
  public record Disk(Path folder, long bytes) {
    /** Checks the bytes. */
    public Disk {
      requireNotNegative("bytes on disk", bytes);
    }
  }

  /** Checks the numbers. */
  public PrefixCacheOptions {
    requireNotNegative("resident tokens", residentTokens);
    requireNotNegative("resident sequences", residentSequences);
    requireNotNegative("host bytes", hostBytes);
  }

  private static void requireNotNegative(String what, long value) {
    if (value < 0) {
      throw new IllegalArgumentException(
          "the %s of a prefix cache must not be negative, but are %d".formatted(what, value));
    }
  }

  /**
   * Returns the defaults: as many of the context's cells as no session needs, with up to 64
   * sequences; 256 MiB of host memory; no disk; exact.
   */
  public static PrefixCacheOptions defaults() {
    return DEFAULTS;
  }

  /** Returns a copy with another {@link #residentTokens()}. */
  public PrefixCacheOptions withResidentTokens(int value) {
    return new PrefixCacheOptions(value, residentSequences, hostBytes, disk, exact);
  }

  /** Returns a copy with another {@link #residentSequences()}. */
  public PrefixCacheOptions withResidentSequences(int value) {
    return new PrefixCacheOptions(residentTokens, value, hostBytes, disk, exact);
  }

  /** Returns a copy with another {@link #hostBytes()}. */
  public PrefixCacheOptions withHostBytes(long value) {
    return new PrefixCacheOptions(residentTokens, residentSequences, value, disk, exact);
  }

  /** Returns a copy with a folder for cells. */
  public PrefixCacheOptions withDisk(Path folder, long bytes) {
    return new PrefixCacheOptions(
        residentTokens, residentSequences, hostBytes, Optional.of(new Disk(folder, bytes)), exact);
  }

  /** Returns a copy with another {@link #exact()}. */
  public PrefixCacheOptions withExact(boolean value) {
    return new PrefixCacheOptions(residentTokens, residentSequences, hostBytes, disk, value);
  }
}
