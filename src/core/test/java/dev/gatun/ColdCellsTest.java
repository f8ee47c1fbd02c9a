package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class ColdCellsTest {
  @TempDir Path folder;

  private ColdCells cells() {
    return new ColdCells(Optional.of(new PrefixCacheOptions.Disk(folder, 1 << 20)));
  }

  private static CellBlock block(ColdCells cells) {
    return cells.add(
        0, 4, arena -> arena.allocateFrom(ValueLayout.JAVA_INT, new int[] {1, 2, 3, 4}));
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files.filter(Files::isRegularFile).filter(file -> !isLock(file)).toList();
    }
  }

  private static boolean isLock(Path file) {
    return file.getFileName().toString().endsWith(".lock");
  }

  private void assertNothingIsLeft() throws IOException {
    try (Stream<Path> all = Files.list(folder)) {
      assertEquals(List.of(), all.toList());
    }
  }

  @Test
  @DisabledOnOs(OS.WINDOWS)
  void filesOfCells_areReadByTheirOwnerOnly() throws IOException {
    ColdCells cells = cells();
    CellBlock block = block(cells);
    cells.toDisk(block);
    assertEquals(
        "rw-------",
        PosixFilePermissions.toString(Files.getPosixFilePermissions(files().getFirst())));
    cells.release(block);
  }

  @Test
  void aBlockGoesDownAndComesBack_andLeavesNothing() throws IOException {
    ColdCells cells = cells();
    CellBlock block = block(cells);
    cells.toDisk(block);
    assertEquals(0, cells.hostBytes());
    assertEquals(16, cells.diskBytes());
    cells.toHost(block);
    assertEquals(16, cells.hostBytes());
    assertEquals(0, cells.diskBytes());
    assertNothingIsLeft();
    cells.release(block);
    assertEquals(0, cells.hostBytes());
  }

  @Test
  void aFileThatCannotBeRead_staysWhereItIs() throws IOException {
    ColdCells cells = cells();
    CellBlock block = block(cells);
    cells.toDisk(block);
    Files.write(files().getFirst(), new byte[20]);
    assertThrows(IOException.class, () -> cells.toHost(block));
    assertEquals(0, cells.hostBytes());
    assertEquals(16, cells.diskBytes());
    assertTrue(block.location() instanceof CellBlock.InFile);
    cells.release(block);
    assertEquals(0, cells.diskBytes());
    assertNothingIsLeft();
  }

  @Test
  void aFileThatCannotBeRemoved_isNoFault_andGoesWithTheOthers() throws IOException {
    ColdCells cells = cells();
    CellBlock block = block(cells);
    CellBlock other = block(cells);
    cells.toDisk(block);
    Path file = files().getFirst();
    cells.toDisk(other);
    Files.delete(file);
    Files.createDirectories(file.resolve("inside"));
    cells.release(block);
    assertEquals(16, cells.diskBytes());
    assertTrue(Files.exists(file));
    cells.release(other);
    assertEquals(0, cells.diskBytes());
    assertNothingIsLeft();
  }

  @Test
  void aFileThatIsCutShort_isAnError() throws IOException {
    ColdCells cells = cells();
    CellBlock block = block(cells);
    cells.toDisk(block);
    Files.write(files().getFirst(), new byte[3]);
    try (Arena arena = Arena.ofConfined()) {
      assertThrows(IOException.class, () -> cells.bytes(block, arena));
    }
    cells.release(block);
    assertNothingIsLeft();
  }
}
