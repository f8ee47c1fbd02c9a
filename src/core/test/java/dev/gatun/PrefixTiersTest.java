package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.gatun.gguf.SyntheticModel.Family;
import dev.gatun.internal.NativeCells;
import dev.gatun.internal.NativeMemory;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The tiers of a prefix cache when memory runs out under them, and when the tree is deep. */
class PrefixTiersTest {
  private static final int[] TEXT = ReferenceFiles.tokens(2_000, 5);
  private static final PrefixCacheOptions HOST_ONLY =
      PrefixCacheOptions.defaults().withResidentTokens(0);

  @TempDir static Path models;
  @TempDir Path folder;
  private static LlamaModel model;

  @BeforeAll
  static void load() {
    model = LlamaModel.load(ReferenceFiles.write(models, Family.LLAMA, 1));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  /** Copies that fail when told. */
  private static final class FailingCells extends ColdCells {
    int goodCopies = Integer.MAX_VALUE;
    int goodReads = Integer.MAX_VALUE;

    FailingCells(PrefixCacheOptions options) {
      super(options.disk());
    }

    @Override
    CellBlock add(int start, int end, Function<Arena, MemorySegment> read) {
      return super.add(
          start,
          end,
          arena -> {
            if (goodCopies-- == 0) {
              throw new OutOfMemoryError("no room for a copy");
            }
            return read.apply(arena);
          });
    }

    @Override
    MemorySegment bytes(CellBlock block, Arena arena) throws IOException {
      if (goodReads-- == 0) {
        throw new InternalError("a fault in a mapped file");
      }
      return super.bytes(block, arena);
    }
  }

  /** A context with a session that has read a text, and the tiers of a cache. */
  private static final class Rig implements AutoCloseable {
    final LlamaContext context;
    final LlamaSession session;
    final FailingCells cells;
    final PrefixTiers tiers;

    Rig(PrefixCacheOptions options, int tokens) {
      this(model, options, tokens);
    }

    Rig(LlamaModel model, PrefixCacheOptions options, int tokens) {
      context =
          model.newContext(
              ContextOptions.defaults()
                  .withContextTokens(2_048)
                  .withMaxSequences(3)
                  .withUnifiedKv(true)
                  .withThreads(1)
                  .withBatchThreads(1));
      session = context.newSession();
      session.append(text(tokens));
      cells = new FailingCells(options);
      tiers = new PrefixTiers(context, session.nativeContext(), options, () -> false, cells);
      context.enter();
    }

    PrefixCacheStats stats() {
      return tiers.stats(0, 0, 0, 0, 0);
    }

    int[] held() {
      return NativeCells.positions(
          session.nativeContext(), session.cells().sequence(), 0, NativeCells.END);
    }

    @Override
    public void close() {
      tiers.forgetAll();
      context.exit();
      context.close();
    }
  }

  private static int[] text(int length) {
    return Arrays.copyOf(TEXT, length);
  }

  @Test
  void aSpillThatFindsNoMemory_leavesTheCellsWhereTheyAre() {
    try (Rig rig = new Rig(PrefixCacheOptions.defaults(), 600)) {
      rig.tiers.keep(text(300), rig.session.cells());
      rig.tiers.keep(text(600), rig.session.cells());
      rig.cells.goodCopies = 1;
      assertThrows(OutOfMemoryError.class, () -> rig.tiers.yieldCells(1));
      assertEquals(600, rig.stats().residentTokens());
      assertEquals(1, rig.stats().residentSequences());
      assertEquals(0, rig.stats().hostBytes());
      assertEquals(600, rig.tiers.remembered(text(600)));
      rig.tiers.verify();
      rig.cells.goodCopies = Integer.MAX_VALUE;
      rig.tiers.yieldCells(600);
      assertEquals(0, rig.stats().residentTokens());
      assertEquals(0, rig.stats().residentSequences());
      assertEquals(
          600 * NativeCells.bytes(rig.session.nativeContext(), 1), rig.stats().hostBytes());
    }
  }

  @Test
  void aTextThatFindsNoMemory_isForgotten() {
    try (Rig rig = new Rig(HOST_ONLY, 600)) {
      rig.tiers.keep(text(100), rig.session.cells());
      long bytes = rig.stats().hostBytes();
      rig.cells.goodCopies = 1;
      assertThrows(OutOfMemoryError.class, () -> rig.tiers.keep(text(600), rig.session.cells()));
      assertEquals(bytes, rig.stats().hostBytes());
      assertEquals(1, rig.stats().nodes());
      assertEquals(100, rig.tiers.remembered(text(600)));
    }
  }

  @Test
  void cellsThatCannotBeReadBack_leaveTheSequenceEmpty() {
    try (Rig rig = new Rig(HOST_ONLY, 600)) {
      rig.tiers.keep(text(600), rig.session.cells());
      NativeMemory.remove(
          rig.session.nativeContext(), rig.session.cells().sequence(), 0, NativeCells.END);
      rig.cells.goodReads = 1;
      assertThrows(InternalError.class, () -> rig.tiers.bring(text(600), 1, rig.session.cells()));
      assertArrayEquals(new int[0], rig.held());
      rig.cells.goodReads = Integer.MAX_VALUE;
      assertEquals(new PrefixReuse(0, 600, 0), rig.tiers.bring(text(600), 1, rig.session.cells()));
      assertEquals(600, rig.held().length);
    }
  }

  /** What a session is said to use is pinned, and a pinned branching point is never removed. */
  @Test
  void aBranchingPointWithoutCells_isNothingToUse() {
    PrefixCacheOptions options = PrefixCacheOptions.defaults().withHostBytes(0);
    try (LlamaModel recurrent = LlamaModel.load(ReferenceFiles.write(models, Family.MAMBA, 1));
        Rig rig = new Rig(recurrent, options, 20)) {
      rig.tiers.keep(new int[] {5, 6, 7}, rig.session.cells()).orElseThrow().pin();
      rig.tiers.keep(new int[] {5, 6, 8}, rig.session.cells()).orElseThrow().pin();
      assertEquals(2, rig.stats().residentSequences());
      assertEquals(Optional.empty(), rig.tiers.keep(new int[] {5, 6, 9}, rig.session.cells()));
    }
  }

  /** States that were copied only to be thrown away would cost time at every text. */
  @Test
  void aStateThatNoTierHasRoomFor_isNotCopied() {
    try (LlamaModel recurrent = LlamaModel.load(ReferenceFiles.write(models, Family.MAMBA, 1));
        Rig rig = new Rig(recurrent, HOST_ONLY.withHostBytes(1_000), 20)) {
      rig.cells.goodCopies = 0;
      assertEquals(Optional.empty(), rig.tiers.keep(text(20), rig.session.cells()));
      assertEquals(0, rig.stats().nodes());
    }
    PrefixCacheOptions resident = PrefixCacheOptions.defaults().withHostBytes(1_000);
    try (LlamaModel recurrent = LlamaModel.load(ReferenceFiles.write(models, Family.MAMBA, 1));
        Rig rig = new Rig(recurrent, resident, 20)) {
      rig.cells.goodCopies = 0;
      rig.tiers.keep(text(20), rig.session.cells());
      assertEquals(1, rig.stats().residentSequences());
      rig.tiers.yieldSequence();
      assertEquals(0, rig.stats().nodes());
      assertEquals(0, rig.stats().spillsToHost());
      assertEquals(1, rig.stats().evictions());
    }
  }

  /** A conversation that was stored at every token. */
  @Test
  void aDeepTree_goesDownAndComesBack() throws IOException {
    PrefixCacheOptions options = HOST_ONLY.withHostBytes(1).withDisk(folder, 1L << 30);
    try (Rig rig = new Rig(options, TEXT.length)) {
      for (int length = TEXT.length; length > 0; length--) {
        rig.tiers.keep(text(length), rig.session.cells());
      }
      assertEquals(TEXT.length, rig.stats().nodes());
      rig.tiers.enforce();
      assertEquals(0, rig.stats().hostBytes());
      assertEquals(TEXT.length, rig.tiers.remembered(TEXT));
      NativeMemory.remove(
          rig.session.nativeContext(), rig.session.cells().sequence(), 0, NativeCells.END);
      assertEquals(
          new PrefixReuse(0, 0, TEXT.length), rig.tiers.bring(TEXT, 1, rig.session.cells()));
    }
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(0, files.count());
    }
  }
}
