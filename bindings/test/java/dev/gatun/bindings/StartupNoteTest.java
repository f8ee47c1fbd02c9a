package dev.gatun.bindings;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StartupNoteTest {
  @TempDir Path folder;

  private NativeFolder natives(String hash) {
    var entry = new NativeIndex.Entry(hash.repeat(64), 1, "libllama.so");
    return new NativeFolder(
        folder, List.of(new NativeIndex("here", "v", "t", "p", List.of(entry))), List.of());
  }

  @Test
  void otherLibraries_haveAnotherNote() {
    assertNotEquals(StartupNote.of(natives("0")), StartupNote.of(natives("1")));
  }

  @Test
  void librariesWithoutAnIndex_areLookedAtEachTime() {
    StartupNote note = StartupNote.of(new NativeFolder(folder, List.of(), List.of()));
    note.write();
    assertFalse(note.exists());
  }

  @Test
  void writtenNote_exists() {
    StartupNote note = new StartupNote(folder.resolve("a/b"));
    assertFalse(note.exists());
    note.write();
    assertTrue(note.exists());
  }
}
