package dev.gatun;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32C;

/**
 * Damages state files, by chance or with intent: a forger also makes the checksums fit. Knows the
 * layout from {@code src/docs/state-files.md} and not from the code under test.
 */
final class StateMutator {
  private static final int FIXED = 40;
  private static final int ENTRY = 32;
  private static final int CELLS = 5;
  private static final int CHECKPOINT = 6;
  private static final int[] INTERESTING = {
    0,
    1,
    2,
    3,
    -1,
    -2,
    7,
    63,
    64,
    255,
    256,
    4096,
    65_535,
    1 << 20,
    1 << 30,
    Integer.MAX_VALUE,
    Integer.MIN_VALUE
  };

  private final Random random;

  StateMutator(Random random) {
    this.random = random;
  }

  /**
   * A damaged file.
   *
   * @param bytes its content
   * @param forged whether the checksums were made to fit
   * @param what was done
   */
  record Mutant(byte[] bytes, boolean forged, String what) {}

  Mutant mutate(byte[] original, byte[] other) {
    ByteBuffer file = ByteBuffer.wrap(original.clone()).order(ByteOrder.LITTLE_ENDIAN);
    int kind = random.nextInt(12);
    return switch (kind) {
      case 0 -> new Mutant(flip(file, 0, file.capacity()), false, "bytes flipped");
      case 1 -> new Mutant(flip(file, 0, FIXED + ENTRY * count(file)), false, "header flipped");
      case 2 -> new Mutant(cut(file), false, "cut");
      case 3 -> new Mutant(longer(file), random.nextBoolean(), "longer");
      case 4 -> forged(entryChanged(file), "a table entry changed");
      case 5 -> forged(entriesSwapped(file), "two table entries swapped");
      case 6 -> forged(structureChanged(file), "the structure of cells changed");
      case 7 -> forged(numberChanged(file), "a number changed");
      case 8 -> forged(contentsMixed(file), "sections mixed");
      case 9 -> forged(sectionTaken(file), "a section taken out");
      case 10 -> forged(spliced(file, other), "cells of another file");
      default ->
          forged(structureChanged(structureChanged(structureChanged(file))), "structure, thrice");
    };
  }

  private Mutant forged(ByteBuffer file, String what) {
    fixChecksums(file);
    return new Mutant(file.array(), true, what);
  }

  private byte[] flip(ByteBuffer file, int from, int to) {
    for (int i = random.nextInt(8); i >= 0; i--) {
      int at = from + random.nextInt(to - from);
      file.put(at, (byte) (file.get(at) ^ (1 << random.nextInt(8))));
    }
    return file.array();
  }

  private byte[] cut(ByteBuffer file) {
    byte[] cut = new byte[random.nextInt(file.capacity())];
    file.get(0, cut);
    return cut;
  }

  private byte[] longer(ByteBuffer file) {
    byte[] more = new byte[file.capacity() + 1 + random.nextInt(5000)];
    file.get(0, more, 0, file.capacity());
    if (random.nextBoolean()) {
      ByteBuffer longer = ByteBuffer.wrap(more).order(ByteOrder.LITTLE_ENDIAN);
      longer.putLong(16, more.length);
      fixChecksums(longer);
    }
    return more;
  }

  private ByteBuffer entryChanged(ByteBuffer file) {
    int at = entry(random.nextInt(count(file))) + 4 * random.nextInt(6);
    file.putInt(
        at,
        random.nextBoolean()
            ? INTERESTING[random.nextInt(INTERESTING.length)]
            : file.getInt(at) + random.nextInt(9) - 4);
    return file;
  }

  private ByteBuffer entriesSwapped(ByteBuffer file) {
    int a = entry(random.nextInt(count(file)));
    int b = entry(random.nextInt(count(file)));
    // kind and tokens, or where the bytes are, or all of it
    int from = random.nextBoolean() ? 0 : 8;
    int to = random.nextBoolean() ? 8 : ENTRY;
    for (int i = from; i < to; i++) {
      byte kept = file.get(a + i);
      file.put(a + i, file.get(b + i));
      file.put(b + i, kept);
    }
    return file;
  }

  /** Changes an integer in cells or a checkpoint that looks like a count, a type or a size. */
  private ByteBuffer structureChanged(ByteBuffer file) {
    List<Integer> large = new ArrayList<>();
    for (int i = 0; i < count(file); i++) {
      int kind = file.getInt(entry(i));
      if ((kind == CELLS || kind == CHECKPOINT) && file.getLong(entry(i) + 16) >= 64) {
        large.add(i);
      }
    }
    if (large.isEmpty()) {
      return file;
    }
    int section = large.get(random.nextInt(large.size()));
    int offset = (int) file.getLong(entry(section) + 8);
    int bytes = (int) file.getLong(entry(section) + 16);
    if (offset < 0 || bytes < 0 || offset > file.capacity() - bytes) {
      return file;
    }
    int from = random.nextInt(4) == 0 ? 0 : random.nextInt(bytes / 4);
    for (int i = 0; i < bytes / 4; i++) {
      int at = offset + 4 * ((from + i) % (bytes / 4));
      int value = file.getInt(at);
      if (value >= 0 && value <= 8192) {
        file.putInt(
            at,
            random.nextInt(3) == 0
                ? value + random.nextInt(5) - 2
                : INTERESTING[random.nextInt(INTERESTING.length)]);
        return file;
      }
    }
    return file;
  }

  private ByteBuffer numberChanged(ByteBuffer file) {
    int section = entry(random.nextInt(count(file)));
    int bytes = (int) file.getLong(section + 16);
    if (bytes >= 4) {
      int at = (int) file.getLong(section + 8) + 4 * random.nextInt(bytes / 4);
      file.putInt(at, INTERESTING[random.nextInt(INTERESTING.length)]);
    }
    return file;
  }

  private ByteBuffer contentsMixed(ByteBuffer file) {
    int a = entry(random.nextInt(count(file)));
    int b = entry(random.nextInt(count(file)));
    int bytes = (int) Math.min(file.getLong(a + 16), file.getLong(b + 16));
    byte[] moved = new byte[bytes];
    file.get((int) file.getLong(a + 8), moved);
    file.put((int) file.getLong(b + 8), moved);
    if (random.nextBoolean()) {
      file.putLong(b + 16, bytes);
    }
    return file;
  }

  private ByteBuffer sectionTaken(ByteBuffer file) {
    int count = count(file);
    int taken = random.nextInt(count);
    for (int i = taken; i < count - 1; i++) {
      for (int j = 0; j < ENTRY; j += 8) {
        file.putLong(entry(i) + j, file.getLong(entry(i + 1) + j));
      }
    }
    file.putInt(32, count - 1).putInt(12, FIXED + ENTRY * (count - 1) + 8);
    return file;
  }

  private ByteBuffer spliced(ByteBuffer file, byte[] other) {
    ByteBuffer from = ByteBuffer.wrap(other).order(ByteOrder.LITTLE_ENDIAN);
    int mine = entry(random.nextInt(count(file)));
    int theirs = entry(random.nextInt(count(from)));
    int bytes = (int) Math.min(file.getLong(mine + 16), from.getLong(theirs + 16));
    file.put((int) file.getLong(mine + 8), other, (int) from.getLong(theirs + 8), bytes);
    file.putLong(mine + 16, bytes);
    return file;
  }

  private static int count(ByteBuffer file) {
    return file.getInt(32);
  }

  private static int entry(int index) {
    return FIXED + ENTRY * index;
  }

  private static void fixChecksums(ByteBuffer file) {
    CRC32C crc = new CRC32C();
    for (int i = 0; i < count(file); i++) {
      long offset = file.getLong(entry(i) + 8);
      long bytes = file.getLong(entry(i) + 16);
      if (offset >= 0
          && bytes >= 0
          && offset <= file.capacity()
          && bytes <= file.capacity() - offset) {
        crc.reset();
        crc.update(file.array(), (int) offset, (int) bytes);
        file.putInt(entry(i) + 24, (int) crc.getValue());
      }
    }
    int end = entry(count(file));
    crc.reset();
    crc.update(file.array(), 0, end);
    file.putInt(end, (int) crc.getValue());
  }
}
