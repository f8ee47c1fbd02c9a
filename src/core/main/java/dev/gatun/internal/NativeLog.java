package dev.gatun.internal;

import static dev.gatun.bindings.generated.gatun_shim_h.gatun_log_dropped;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_log_install;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_log_next;
import static dev.gatun.bindings.generated.gatun_shim_h.gatun_log_pending;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Locale;

/**
 * Takes llama.cpp's log lines out of the shim's queue and gives them to the {@link System.Logger}
 * named {@code dev.gatun.native}. llama.cpp's info lines arrive at {@code DEBUG} and its debug
 * lines at {@code TRACE}, since a library says at {@code INFO} what its user wants to know.
 *
 * <p>The lowest level that is captured is the system property {@code gatun.log} ({@code debug},
 * {@code info}, {@code warn}, {@code error}); without it the logger is asked what it wants.
 * Thread-safe.
 */
public final class NativeLog {
  /** The name of the logger. */
  public static final String LOGGER = "dev.gatun.native";

  private static final int LINE_BYTES = 16 * 1024;
  private static final Object LOCK = new Object();

  private NativeLog() {}

  /** Installs the capture. Called once, when the libraries are loaded. */
  public static void install() {
    gatun_log_install(lowestLevel());
  }

  /** Hands over the lines that wait. Cheap when there are none. */
  public static void drain() {
    if (gatun_log_pending() > 0) {
      drainAll(Level.ERROR);
    }
  }

  /**
   * Hands over the lines that wait after a call that was stopped on purpose: llama.cpp reports that
   * as an error, which it is not, so nothing is logged above {@code DEBUG}.
   */
  static void drainAfterStop() {
    if (gatun_log_pending() > 0) {
      drainAll(Level.DEBUG);
    }
  }

  private static void drainAll(Level highest) {
    Logger logger = System.getLogger(LOGGER);
    synchronized (LOCK) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment level = arena.allocate(ValueLayout.JAVA_INT);
        MemorySegment line = arena.allocate(LINE_BYTES);
        while (gatun_log_next(level, line, LINE_BYTES) >= 0) {
          Level own = level(level.get(ValueLayout.JAVA_INT, 0));
          logger.log(own.compareTo(highest) > 0 ? highest : own, line.getString(0));
        }
        long dropped = gatun_log_dropped();
        if (dropped > 0) {
          logger.log(Level.WARNING, dropped + " native log lines were dropped: the queue was full");
        }
      }
    }
  }

  private static Level level(int ggmlLevel) {
    return switch (ggmlLevel) {
      case 1 -> Level.TRACE;
      case 2 -> Level.DEBUG;
      case 3 -> Level.WARNING;
      default -> Level.ERROR;
    };
  }

  private static int lowestLevel() {
    String property = System.getProperty("gatun.log", "");
    return switch (property.toLowerCase(Locale.ROOT)) {
      case "debug" -> 1;
      case "info" -> 2;
      case "warn" -> 3;
      case "error" -> 4;
      case "" -> levelOfLogger();
      default ->
          throw new IllegalArgumentException(
              "the system property gatun.log must be debug, info, warn or error, but is "
                  + property);
    };
  }

  private static int levelOfLogger() {
    Logger logger = System.getLogger(LOGGER);
    if (logger.isLoggable(Level.TRACE)) {
      return 1;
    }
    return logger.isLoggable(Level.DEBUG) ? 2 : 3;
  }
}
