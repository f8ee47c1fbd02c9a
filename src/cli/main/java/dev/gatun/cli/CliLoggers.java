package dev.gatun.cli;

import java.io.PrintStream;
import java.util.ResourceBundle;
import org.jspecify.annotations.Nullable;

/**
 * Sends log lines, the native side's among them, to standard error, when a command is asked to;
 * what goes wrong is said by an exception. Replaces {@code java.util.logging}, which takes longer
 * to start than a small model takes to answer.
 */
public final class CliLoggers extends System.LoggerFinder {
  /** The lowest level that the library takes from the native side. */
  private static final String NATIVE_LEVEL = "gatun.log";

  private static volatile System.Logger.Level threshold = System.Logger.Level.OFF;

  /** For the service loader. */
  public CliLoggers() {}

  /** Shows everything that the native side tells its users, until {@link #quiet()}. */
  static void show() {
    threshold = System.Logger.Level.DEBUG;
    System.setProperty(NATIVE_LEVEL, "info");
  }

  /** Shows nothing. The native side then keeps errors only, and no logger has to be looked for. */
  static void quiet() {
    threshold = System.Logger.Level.OFF;
    if (System.getProperty(NATIVE_LEVEL) == null) {
      System.setProperty(NATIVE_LEVEL, "error");
    }
  }

  @Override
  public System.Logger getLogger(String name, Module module) {
    return new StderrLogger(name);
  }

  private record StderrLogger(String name) implements System.Logger {
    @Override
    public String getName() {
      return name;
    }

    @Override
    public boolean isLoggable(Level level) {
      return level != Level.OFF && level.getSeverity() >= threshold.getSeverity();
    }

    @Override
    public void log(
        Level level,
        @Nullable ResourceBundle bundle,
        @Nullable String text,
        @Nullable Throwable thrown) {
      if (!isLoggable(level)) {
        return;
      }
      PrintStream err = System.err;
      err.println(level + " " + name + ": " + text);
      if (thrown != null) {
        thrown.printStackTrace(err);
      }
    }

    @Override
    public void log(
        Level level,
        @Nullable ResourceBundle bundle,
        @Nullable String format,
        @Nullable Object @Nullable ... params) {
      if (isLoggable(level) && format != null) {
        log(
            level,
            bundle,
            params == null || params.length == 0
                ? format
                : java.text.MessageFormat.format(format, params),
            (Throwable) null);
      }
    }
  }
}
