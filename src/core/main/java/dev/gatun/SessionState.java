package dev.gatun;

import dev.gatun.error.StateFormatException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.kv.CellLayout;
import dev.gatun.kv.StateCheckpoint;
import dev.gatun.kv.StateContent;
import dev.gatun.kv.StateFacts;
import dev.gatun.kv.StateFile;
import dev.gatun.kv.StateSettings;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * What a session held when it was saved: its tokens, their cells and its checkpoints. In memory or
 * in a file; it can be restored into any session of a context of the same model and settings, any
 * number of times.
 *
 * <p>Immutable; any thread. The memory, or the mapping of the file, is freed when nothing refers to
 * it any more. While a state from {@link #read} is in use its file may be replaced or removed, but
 * must not be overwritten in place; Gatun itself never does that.
 */
public final class SessionState {
  private final StateContent content;
  private final Optional<CellLayout> layout;
  private final Optional<StateFile> file;
  private final Reading reading;

  /**
   * How the cells were read: what a prefix cache may remember of them.
   *
   * @param how equal to that of a context which would read the tokens the same way
   * @param plain see {@link SessionCells#plain()}
   * @param exact see {@link SessionCells#exact()}
   */
  record Reading(Object how, int plain, int exact) {
    /** Nothing is known. */
    static Reading unknown() {
      return new Reading(new Object(), 0, 0);
    }
  }

  private SessionState(
      StateContent content,
      Optional<CellLayout> layout,
      Optional<StateFile> file,
      Reading reading) {
    this.content = content;
    this.layout = layout;
    this.file = file;
    this.reading = reading;
  }

  /** A state that native code has just written; the layout is known when files can hold it. */
  static SessionState inMemory(StateContent content, Optional<CellLayout> layout, Reading reading) {
    return new SessionState(content, layout, Optional.empty(), reading);
  }

  /**
   * Opens a state file. Its small parts are read and checked, its cells are mapped and read when
   * they are restored.
   *
   * @param path a file that {@link #write} wrote
   * @throws StateFormatException if it is missing, damaged or no state file
   */
  public static SessionState read(Path path) {
    StateFile file = StateFile.open(path);
    return new SessionState(file.content(), Optional.empty(), Optional.of(file), Reading.unknown());
  }

  /**
   * Writes the state to a file, whole or not at all: a fault at any moment leaves the old file or
   * the new one. The format is described in {@code src/docs/state-files.md}.
   *
   * @param path the file; its folder must exist
   * @return what the file says about itself
   * @throws UnsupportedOperationForModelException if Gatun does not know how the model's memory is
   *     laid out, and so could not check it when it is read
   * @throws java.io.UncheckedIOException if it cannot be written; the old file stays
   */
  public StateFacts write(Path path) {
    return write(path, content.label());
  }

  /**
   * Writes the state with a label.
   *
   * @param label the user's words, shown by {@code gatun cache list}
   */
  public StateFacts write(Path path, String label) {
    if (file.isPresent()) {
      file.get().verifyCells(); // what is damaged is not written again as sound
    } else {
      requireKnownLayout();
    }
    return StateFile.write(
        path,
        new StateContent(
            content.fingerprint(),
            content.modelName(),
            content.contextTokens(),
            content.settings(),
            content.tokens(),
            content.positions(),
            content.decoded(),
            content.cells(),
            content.checkpoints(),
            label,
            content.created()));
  }

  private void requireKnownLayout() {
    if (content.decoded() == 0) {
      return;
    }
    StateFormatException cause = null;
    if (layout.isPresent()) {
      try {
        check(layout.get());
        return;
      } catch (StateFormatException e) {
        cause = e;
      }
    }
    throw new UnsupportedOperationForModelException(
        "the memory of %s has a layout that state files do not know; keep the state in memory"
            .formatted(content.modelName()),
        cause);
  }

  /**
   * Checks that a session is of the same model and settings.
   *
   * @param fingerprint of the session's model
   * @param settings of the session's context
   */
  void requireFor(String fingerprint, StateSettings settings) {
    if (!content.fingerprint().equals(fingerprint)) {
      throw new StateFormatException(
          "the state was saved with another model (%s, fingerprint %s, here %s); load that model or read the text again"
              .formatted(content.modelName(), shown(content.fingerprint()), shown(fingerprint)));
    }
    List<String> differences = content.settings().differences(settings);
    if (!differences.isEmpty()) {
      throw new StateFormatException(
          "the state was saved under other settings (%s); make the context with those of the state, or read the text again and save"
              .formatted(String.join("; ", differences)));
    }
  }

  /**
   * Checks that native code can be given what a file holds.
   *
   * @param known how native code lays out the cells
   * @param vocabulary refuses tokens that the model does not have
   */
  void requireSound(Optional<CellLayout> known, Consumer<int[]> vocabulary) {
    if (file.isEmpty()) {
      return; // native code has written it in this process
    }
    try {
      vocabulary.accept(content.tokens());
    } catch (IndexOutOfBoundsException e) {
      throw new StateFormatException(
          "the state holds a %s; read the text again and save".formatted(e.getMessage()), e);
    }
    file.get().verifyCells();
    if (content.decoded() > 0) {
      check(
          known.orElseThrow(
              () ->
                  new StateFormatException(
                      "the memory of %s has a layout that state files do not know; read the text again"
                          .formatted(content.modelName()))));
    }
  }

  private void check(CellLayout known) {
    known.check(content.cells(), Arrays.copyOf(content.positions(), content.decoded()));
    for (StateCheckpoint checkpoint : content.checkpoints()) {
      known.checkPartial(
          checkpoint.cells(), Arrays.copyOf(content.positions(), checkpoint.tokens()));
    }
  }

  private static String shown(String fingerprint) {
    return fingerprint.length() > 12 ? fingerprint.substring(0, 12) + "…" : fingerprint;
  }

  /** Returns the number of tokens. */
  public int size() {
    return content.tokens().length;
  }

  /** Returns a copy of the tokens. */
  public int[] tokens() {
    return content.tokens().clone();
  }

  /** Returns a copy of the tokens' positions, ascending. */
  public int[] positions() {
    return content.positions().clone();
  }

  /** Returns the bytes of the cells, without those of the checkpoints. */
  public long cellBytes() {
    return content.cells().byteSize();
  }

  /** Returns after how many tokens there is a checkpoint, ascending. */
  public List<Integer> checkpoints() {
    return content.checkpoints().stream().map(StateCheckpoint::tokens).toList();
  }

  /** Returns the fingerprint of the model, {@link dev.gatun.gguf.GgufFile#fingerprint()}. */
  public String fingerprint() {
    return content.fingerprint();
  }

  /** Returns what must be equal for the cells to mean the same. */
  public StateSettings settings() {
    return content.settings();
  }

  /** Returns the tokens of the context that it was saved from. */
  public int contextTokens() {
    return content.contextTokens();
  }

  /** Returns when the session was saved. */
  public Instant created() {
    return content.created();
  }

  int decoded() {
    return content.decoded();
  }

  MemorySegment cells() {
    return content.cells();
  }

  List<StateCheckpoint> checkpointStates() {
    return content.checkpoints();
  }

  Reading reading() {
    return reading;
  }
}
