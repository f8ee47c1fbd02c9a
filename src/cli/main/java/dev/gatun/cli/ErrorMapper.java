package dev.gatun.cli;

import dev.gatun.error.ChatTemplateException;
import dev.gatun.error.ContextCreateException;
import dev.gatun.error.GgufFormatException;
import dev.gatun.error.GrammarException;
import dev.gatun.error.KvCacheFullException;
import dev.gatun.error.LlamaException;
import dev.gatun.error.ModelLoadException;
import dev.gatun.error.NativeLibraryException;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.error.StateFormatException;
import dev.gatun.error.UnsupportedOperationForModelException;
import java.io.IOException;
import java.io.UncheckedIOException;

/** Turns whatever was thrown into one line and an exit code. */
final class ErrorMapper {
  /**
   * What to tell the user.
   *
   * @param exitCode the process's exit code
   * @param line one line without a line end; empty when there is nothing to say
   */
  record Outcome(int exitCode, String line) {}

  private ErrorMapper() {}

  static Outcome map(Throwable failure) {
    return switch (failure) {
      case CliException e -> new Outcome(e.exitCode(), oneLine(e));
      case OperationCancelledException e -> new Outcome(ExitCode.INTERRUPTED, "interrupted");
      case NativeLibraryException e ->
          new Outcome(ExitCode.NATIVE, oneLine(e) + "; `gatun doctor` shows more");
      case GgufFormatException e -> new Outcome(ExitCode.FILE, oneLine(e));
      case ModelLoadException e -> new Outcome(ExitCode.FILE, oneLine(e));
      case StateFormatException e -> new Outcome(ExitCode.FILE, oneLine(e));
      case ContextCreateException e -> new Outcome(ExitCode.SPACE, oneLine(e));
      case KvCacheFullException e ->
          new Outcome(
              ExitCode.SPACE,
              oneLine(e) + "; on the command line: -c/--ctx-size, or --kv-budget when it is given");
      case GrammarException e -> new Outcome(ExitCode.USAGE, oneLine(e));
      case ChatTemplateException e ->
          new Outcome(ExitCode.FILE, oneLine(e) + "; --raw runs without the chat template");
      case UnsupportedOperationForModelException e -> new Outcome(ExitCode.USAGE, oneLine(e));
      case LlamaException e -> new Outcome(ExitCode.FAILURE, oneLine(e));
      case IllegalArgumentException e -> new Outcome(ExitCode.USAGE, oneLine(e));
      case UncheckedIOException e -> new Outcome(ExitCode.FILE, oneLine(e));
      case IOException e -> new Outcome(ExitCode.FILE, oneLine(e));
      case OutOfMemoryError e ->
          new Outcome(
              ExitCode.SPACE,
              "out of Java memory ("
                  + e.getMessage()
                  + "); set GATUN_JAVA_OPTS=-Xmx1g or give less"
                  + " text");
      default ->
          new Outcome(
              ExitCode.FAILURE,
              "unexpected "
                  + failure.getClass().getSimpleName()
                  + ": "
                  + oneLine(failure)
                  + "; run again with GATUN_DEBUG=1 for the stack trace");
    };
  }

  private static String oneLine(Throwable failure) {
    String message = failure.getMessage();
    if (message == null) {
      return failure.getClass().getSimpleName();
    }
    return message.strip().replace("\r\n", " ").replace('\n', ' ').replace('\r', ' ');
  }
}
