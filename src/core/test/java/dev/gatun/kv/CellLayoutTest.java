package dev.gatun.kv;

import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.gatun.error.StateFormatException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class CellLayoutTest {
  private static final int CELLS = 32;
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  @TempDir Path folder;

  /** Rows whose bytes are more than a long can count once led before the beginning. */
  @Test
  @EnabledOnOs(OS.LINUX) // where what a file has not written takes no room
  void rowsBeyondAllNumbers_areRefused() throws IOException {
    try (Arena arena = Arena.ofConfined();
        FileChannel file =
            FileChannel.open(
                folder.resolve("cells"),
                StandardOpenOption.CREATE_NEW,
                StandardOpenOption.READ,
                StandardOpenOption.WRITE)) {
      MemorySegment cells = file.map(FileChannel.MapMode.READ_WRITE, 0, 1L << 37, arena);
      long at = 0;
      for (int value : new int[] {0xaf143cd8, 0, 1, CELLS}) { // magic, sequence, pools, cells
        cells.set(INT, at, value);
        at += 4;
      }
      for (int position = 0; position < CELLS; position++) {
        cells.set(INT, at, position);
        cells.set(INT, at + 4, 1); // sequences
        at += 12;
      }
      cells.set(INT, at, 1); // transposed
      cells.set(INT, at + 4, 2); // layers
      at += 8;
      for (int layer = 0; layer < 2; layer++) {
        cells.set(LONG, at + 4, 1); // bytes of a row of keys
        at += 12 + CELLS;
      }
      cells.set(INT, at + 4, Integer.MAX_VALUE); // bytes of an element of the values
      cells.set(INT, at + 8, 1 << 28); // elements of a row
      CellLayout layout = new CellLayout(1, true, false, false, true, false, 100);
      assertThrows(
          StateFormatException.class,
          () -> layout.check(cells, IntStream.range(0, CELLS).toArray()));
    }
  }
}
