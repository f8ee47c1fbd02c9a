package dev.gatun.kv;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class StateStoreTest {
  private static final String MODEL = "0123456789abcdef";
  private static final StateSettings SETTINGS = new StateSettings(Map.of("key type", "F16"));

  @TempDir Path folder;

  private Path save(StateStore store, String model, int bytes, int... tokens) {
    Path path = store.newFile(model);
    StateFile.write(
        path,
        new StateContent(
            model,
            "a model",
            256,
            SETTINGS,
            tokens,
            IntStream.range(0, tokens.length).toArray(),
            tokens.length,
            MemorySegment.ofArray(new byte[bytes]),
            List.of(),
            "",
            Instant.now()));
    return path;
  }

  private static void age(Path path, int hours) throws IOException {
    Files.setLastModifiedTime(path, FileTime.from(Instant.now().minus(Duration.ofHours(hours))));
  }

  @Test
  void aMissingFolderIsAnEmptyStore() {
    StateStore store = StateStore.of(folder.resolve("nothing"));
    assertEquals(List.of(), store.list());
    assertEquals(Optional.empty(), store.find(MODEL, SETTINGS, new int[] {1}));
    assertEquals(0, store.remove(store.prunable(0, Duration.ZERO)));
  }

  @Test
  void find_takesTheLongestCommonBeginning_ofTheSameModelAndSettings() {
    StateStore store = StateStore.of(folder.resolve("store"));
    save(store, MODEL, 100, 1, 2, 9);
    Path best = save(store, MODEL, 100, 1, 2, 3, 9);
    save(store, "fedcba", 100, 1, 2, 3, 4);
    int[] text = {1, 2, 3, 4, 5};
    assertEquals(Optional.of(new StateStore.Match(best, 3)), store.find(MODEL, SETTINGS, text));
    assertEquals(Optional.empty(), store.find(MODEL, new StateSettings(Map.of()), text));
    assertEquals(Optional.empty(), store.find(MODEL, SETTINGS, new int[] {7}));
  }

  @Test
  void list_showsADamagedFileWithItsProblem_theLastUsedFirst() throws IOException {
    StateStore store = StateStore.of(folder);
    Path old = save(store, MODEL, 100, 1, 2, 9);
    age(old, 5);
    Path damaged = folder.resolve("x.gkv");
    Files.writeString(damaged, "no state");
    List<StateStore.Entry> entries = store.list();
    assertEquals(List.of(damaged, old), entries.stream().map(StateStore.Entry::path).toList());
    assertTrue(entries.get(0).problem().orElseThrow().contains("not a state file"));
    assertEquals(3, entries.get(1).facts().orElseThrow().tokens());
  }

  @Test
  void prune_keepsWhatWasUsedLast_withinBytesAndAge() throws IOException {
    StateStore store = StateStore.of(folder);
    Path first = save(store, MODEL, 10_000, 1);
    Path second = save(store, MODEL, 10_000, 2);
    Path third = save(store, MODEL, 10_000, 3);
    age(first, 3);
    age(second, 2);
    age(third, 1);
    long size = Files.size(first);
    assertEquals(List.of(), store.prunable(3 * size, Duration.ofSeconds(-1)));
    assertEquals(
        List.of(second, first),
        store.prunable(2 * size - 1, Duration.ofSeconds(-1)).stream()
            .map(StateStore.Entry::path)
            .toList());
    assertEquals(
        List.of(first),
        store.prunable(Long.MAX_VALUE, Duration.ofMinutes(150)).stream()
            .map(StateStore.Entry::path)
            .toList());
    store.touch(first);
    Path leftOver = folder.resolve(".gatun-0123.tmp");
    Path beingWritten = folder.resolve(".gatun-4567.tmp");
    Files.writeString(leftOver, "left over");
    Files.writeString(beingWritten, "being written");
    age(leftOver, 2);
    assertEquals(
        2 * size + "left over".length(),
        store.remove(store.prunable(size, Duration.ofSeconds(-1))));
    assertTrue(Files.exists(first));
    assertFalse(Files.exists(second));
    assertFalse(Files.exists(leftOver));
    assertTrue(Files.exists(beingWritten));
  }

  @Test
  void aFolderThatIsNamedLikeAStateFile_isNone_andDoesNotHinderPruning() throws IOException {
    StateStore store = StateStore.of(folder);
    Path inside = Files.createDirectories(folder.resolve("backup.gkv/inside"));
    Path file = save(store, MODEL, 100, 1);
    assertEquals(List.of(file), store.list().stream().map(StateStore.Entry::path).toList());
    store.remove(store.prunable(0, Duration.ofSeconds(-1)));
    assertFalse(Files.exists(file));
    assertTrue(Files.exists(inside));
  }

  @Test
  void anAgeLongerThanAllTime_isNoBound() {
    StateStore store = StateStore.of(folder);
    save(store, MODEL, 100, 1);
    assertEquals(List.of(), store.prunable(Long.MAX_VALUE, ChronoUnit.FOREVER.getDuration()));
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void find_mapsNoCells() throws IOException {
    StateStore store = StateStore.of(folder);
    save(store, MODEL, 100, 1, 2, 3);
    Path best = save(store, MODEL, 100, 1, 2, 3, 4);
    int[] text = {1, 2, 3, 4, 5};
    assertEquals(Optional.of(new StateStore.Match(best, 4)), store.find(MODEL, SETTINGS, text));
    List<String> mapped =
        Files.readAllLines(Path.of("/proc/self/maps")).stream()
            .filter(line -> line.contains(folder.toString()))
            .toList();
    assertEquals(List.of(), mapped);
  }

  @Test
  void whatCouldNotBeReadBack_isNotWritten_andTheOldFileStays() throws IOException {
    Path path = save(StateStore.of(folder), MODEL, 100, 1, 2, 3);
    StateContent old = StateFile.open(path).content();
    byte[] before = Files.readAllBytes(path);
    for (StateContent content :
        List.of(labelled(old, "x".repeat(70_000)), checkpointed(old, 70_000))) {
      assertThrows(IllegalArgumentException.class, () -> StateFile.write(path, content));
      assertArrayEquals(before, Files.readAllBytes(path));
      try (Stream<Path> files = Files.list(folder)) {
        assertEquals(List.of(path), files.toList());
      }
    }
  }

  @Test
  void asManyCheckpointsAsASessionTakes_areWrittenAndRead() {
    Path path = save(StateStore.of(folder), MODEL, 100, 1, 2, 3);
    StateContent content = checkpointed(StateFile.open(path).content(), 2_000);
    assertEquals(2_000, StateFile.write(path, content).checkpoints().size());
    assertEquals(2_000, StateFile.open(path).content().checkpoints().size());
  }

  private static StateContent labelled(StateContent of, String label) {
    return content(of, of.tokens(), of.checkpoints(), label);
  }

  /** A state of so many tokens with a checkpoint after each. */
  private static StateContent checkpointed(StateContent of, int count) {
    MemorySegment cells = MemorySegment.ofArray(new byte[1]);
    return content(
        of,
        new int[count],
        IntStream.rangeClosed(1, count).mapToObj(i -> new StateCheckpoint(i, cells)).toList(),
        of.label());
  }

  private static StateContent content(
      StateContent of, int[] tokens, List<StateCheckpoint> checkpoints, String label) {
    return new StateContent(
        of.fingerprint(),
        of.modelName(),
        of.contextTokens(),
        of.settings(),
        tokens,
        IntStream.range(0, tokens.length).toArray(),
        tokens.length,
        of.cells(),
        checkpoints,
        label,
        of.created());
  }

  @Test
  void theRootOfAFileSystem_isNoPlaceForAState() {
    StateContent content = StateFile.open(save(StateStore.of(folder), MODEL, 9, 1)).content();
    assertThrows(UncheckedIOException.class, () -> StateFile.write(folder.getRoot(), content));
  }

  @Test
  void whatIsUsedAfterItWasListed_isNotRemoved() throws IOException {
    StateStore store = StateStore.of(folder);
    Path file = save(store, MODEL, 100, 1);
    age(file, 5);
    List<StateStore.Entry> old = store.prunable(Long.MAX_VALUE, Duration.ofHours(1));
    assertEquals(List.of(file), old.stream().map(StateStore.Entry::path).toList());
    store.touch(file);
    assertEquals(0, store.remove(old));
    assertTrue(Files.exists(file));
  }

  @Test
  void aFileThatIsReadInsteadOfMapped_isTheSame() {
    Path path = save(StateStore.of(folder), MODEL, 10_000, 1, 2, 3);
    StateFile mapped = StateFile.open(path, true);
    StateFile copied = StateFile.open(path, false);
    copied.verifyCells();
    assertEquals(mapped.facts(), copied.facts());
    assertEquals(-1, mapped.content().cells().mismatch(copied.content().cells()));
  }
}
