package dev.gatun.cli;

import dev.gatun.LlamaSession;
import dev.gatun.SessionOptions;
import dev.gatun.SessionState;
import dev.gatun.error.StateFormatException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.kv.CheckpointOptions;
import dev.gatun.kv.StateStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The file of {@code --prompt-cache}: what was read is kept there, so that the next run reads only
 * what differs.
 */
final class PromptCache {
  /** Settings that follow from the length of the text, unless the user has fixed them. */
  private static final Set<String> OF_LENGTH = Set.of("position scaling", "far keys");

  private @Nullable Path file;
  private @Nullable SessionState state;

  void declare(OptionTable table) {
    table.value(
        "--prompt-cache",
        "FILE",
        "Keep in this file what was read, and read only what differs the next time.",
        v -> {
          if (v.isEmpty()) {
            throw CliException.usage("--prompt-cache needs a file name");
          }
          file = Path.of(v);
        });
  }

  boolean isGiven() {
    return file != null;
  }

  /**
   * Opens the file, if there is one.
   *
   * @throws CliException if it is no state file or damaged, or could not be written later
   */
  void open() {
    if (file == null) {
      return;
    }
    Path folder = file.toAbsolutePath().getParent();
    if (!Files.isDirectory(folder)) {
      throw CliException.file(
          "--prompt-cache " + file + ": there is no folder " + folder + "; make it first");
    }
    if (Files.exists(file)) {
      try {
        state = SessionState.read(file);
      } catch (StateFormatException e) {
        throw refused(e);
      }
    }
  }

  /** Returns how many tokens the file holds. */
  int tokens() {
    return state == null ? 0 : state.size();
  }

  /**
   * Returns how much room a context needs behind a text, so that the file's tokens fit in and the
   * scaling that follows from its size is the one of the file.
   *
   * @param textTokens tokens of the text
   * @param answerTokens most tokens of the answer, when that is known
   */
  OptionalInt room(int textTokens, OptionalInt answerTokens) {
    if (state == null || state.contextTokens() <= textTokens) {
      return answerTokens;
    }
    return OptionalInt.of(Math.max(answerTokens.orElse(0), state.contextTokens() - textTokens));
  }

  /** Returns the options of a session whose end may differ the next time. */
  SessionOptions options(SessionOptions options) {
    return file == null ? options : options.withCheckpoints(CheckpointOptions.defaults());
  }

  /**
   * Puts into an empty session what the file and a text have in common.
   *
   * @return how many of the text's tokens the session holds now
   * @throws CliException if the file is of another model or setting, or damaged
   */
  int restore(LlamaSession session, int[] tokens, ContextFlags flags, Consumer<String> notes) {
    SessionState saved = state;
    if (saved == null || !fits(session, saved, flags, notes)) {
      return 0;
    }
    // At least one token is read again: the logits of the last one are needed.
    int common = Math.min(StateStore.common(saved.tokens(), tokens), tokens.length - 1);
    if (common > 0) {
      restore(session, saved);
      try {
        session.truncate(common);
      } catch (UnsupportedOperationForModelException e) {
        session.clear(); // there is no checkpoint that far back
      }
    }
    notes.accept(
        "reused "
            + Values.grouped(session.readTokens())
            + " of "
            + Values.grouped(tokens.length)
            + " prompt tokens from "
            + file);
    return session.size();
  }

  /**
   * Puts all that the file holds into an empty session.
   *
   * @return the tokens
   * @throws CliException if the file is of another model or setting, or damaged
   */
  int[] restoreAll(LlamaSession session, ContextFlags flags, Consumer<String> notes) {
    SessionState saved = state;
    if (saved == null || !fits(session, saved, flags, notes)) {
      return new int[0];
    }
    restore(session, saved);
    notes.accept("took up " + Values.grouped(saved.size()) + " tokens from " + file);
    return saved.tokens();
  }

  /**
   * Writes what a session holds.
   *
   * @throws java.io.UncheckedIOException if it cannot be written
   */
  void save(LlamaSession session, Consumer<String> notes) {
    if (file == null || session.size() == 0) {
      return;
    }
    if (session.droppedTokens() > 0) {
      notes.accept(
          "not saved to "
              + file
              + ": a part of the text was dropped (--overflow), so nothing"
              + " could go on from it");
      return;
    }
    session.save().write(file);
  }

  private boolean fits(
      LlamaSession session, SessionState saved, ContextFlags flags, Consumer<String> notes) {
    try {
      session.requireRestorable(saved);
      return true;
    } catch (StateFormatException e) {
      if (flags.rope.fixed().isEmpty() && differsByLength(session, saved)) {
        notes.accept(
            "the text needs another position scaling than the one of "
                + file
                + ": it is read anew");
        return false;
      }
      throw refused(e);
    }
  }

  private static boolean differsByLength(LlamaSession session, SessionState saved) {
    SessionState here = session.save();
    return saved.fingerprint().equals(here.fingerprint())
        && OF_LENGTH.containsAll(saved.settings().differing(here.settings()));
  }

  private void restore(LlamaSession session, SessionState saved) {
    try {
      session.restore(saved);
    } catch (StateFormatException e) {
      throw refused(e);
    }
  }

  private CliException refused(StateFormatException e) {
    return CliException.file(
        "--prompt-cache " + file + ": " + e.getMessage() + "; or remove the file to start anew");
  }
}
