package dev.gatun;

import static dev.gatun.Differences.assertNear;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.ReferenceModel.Positions;
import dev.gatun.error.KvCacheFullException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.gguf.SyntheticModel;
import dev.gatun.internal.ContextParameters;
import dev.gatun.internal.NativeCells;
import dev.gatun.internal.NativeContext;
import dev.gatun.internal.NativeMemory;
import dev.gatun.kv.KvCacheType;
import dev.gatun.rope.DualChunk;
import dev.gatun.rope.LeakyReRope;
import dev.gatun.rope.ReRope;
import dev.gatun.rope.RopeBasis;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.Rotation;
import dev.gatun.rope.SelfExtend;
import dev.gatun.rope.StaticScaling;
import dev.gatun.rope.TwoBand;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Cells read out, added, copied and moved, against the native side itself and the reference. */
class CellsTest {
  private static final int SIZE = 256;
  private static final int[] TOKENS = ReferenceFiles.tokens(400, 4);
  private static final Map<String, LlamaModel> MODELS = new LinkedHashMap<>();
  private static final Map<String, ReferenceModel> REFERENCES = new LinkedHashMap<>();

  @TempDir static Path folder;

  @BeforeAll
  static void load() {
    for (int layers : new int[] {1, 2}) {
      add("llama " + layers, ReferenceFiles.write(folder, SyntheticModel.Family.LLAMA, layers));
      add("qwen2 " + layers, ReferenceFiles.write(folder, SyntheticModel.Family.QWEN2, layers));
    }
    for (String shape : List.of("gemma3-tiny", "jamba-tiny", "mamba-tiny")) {
      Path file = folder.resolve(shape + ".gguf");
      SyntheticModel.write(SyntheticModel.Shape.named(shape), TestModels.tiny(), file, 3);
      MODELS.put(shape, LlamaModel.load(file));
    }
  }

  private static void add(String name, Path path) {
    MODELS.put(name, LlamaModel.load(path));
    REFERENCES.put(name, new ReferenceModel(path));
  }

  @AfterAll
  static void close() {
    MODELS.values().forEach(LlamaModel::close);
  }

  /** How a cache is laid out. */
  record Layout(
      String model, KvCacheType type, boolean flash, boolean unified, boolean fullWindow) {}

  /** A context with two sequences. */
  private static final class Cells implements AutoCloseable {
    private final NativeContext context;
    private final int vocabulary;
    private final Arena arena = Arena.ofConfined();

    Cells(Layout layout, RopeScaling scaling) {
      LlamaModel model = MODELS.get(layout.model());
      vocabulary = model.vocabularySize();
      int type = layout.type().ggmlType();
      int tokens = layout.unified() ? SIZE : 2 * SIZE;
      FlashAttention attention = layout.flash() ? FlashAttention.ON : FlashAttention.OFF;
      context =
          new NativeContext(
              model.nativeModel(),
              new ContextParameters(
                  tokens,
                  256,
                  64,
                  2,
                  1,
                  1,
                  50,
                  type,
                  type,
                  attention.nativeValue(),
                  RawContext.parameters(model, scaling, tokens),
                  layout.unified(),
                  true,
                  layout.fullWindow()),
              "cells");
    }

    double[][] decode(int sequence, int position, int... tokens) {
      for (int i = 0; i < tokens.length; i++) {
        context.put(i, tokens[i], position + i, sequence, true);
      }
      int status = context.decode(tokens.length);
      assertEquals(0, status, () -> context.error().message());
      double[][] logits = new double[tokens.length][];
      for (int i = 0; i < tokens.length; i++) {
        logits[i] = Differences.copy(context.logits(i, vocabulary));
      }
      return logits;
    }

    /** Returns the logits after a token that is taken back. */
    double[][] look(int sequence, int position) {
      double[][] logits = decode(sequence, position, 77);
      NativeMemory.removeFrom(context, sequence, position);
      return logits;
    }

    MemorySegment read(int sequence, int from, int to) {
      return NativeCells.read(context, sequence, from, to, arena);
    }

    void write(int sequence, int from, int to, int distance, MemorySegment rows) {
      NativeCells.write(
          context, sequence, range(from, to), range(from + distance, to + distance), rows);
    }

    int[] positions(int sequence) {
      return NativeCells.positions(context, sequence, 0, NativeCells.END);
    }

    NativeCells.Usage usage(int sequence) {
      return NativeCells.usage(context, sequence);
    }

    byte[] bytes(int sequence) {
      try (Arena own = Arena.ofConfined()) {
        return NativeCells.read(context, sequence, 0, NativeCells.END, own)
            .toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
      }
    }

    @Override
    public void close() {
      arena.close();
      context.close();
    }
  }

  private static int[] range(int from, int to) {
    return IntStream.range(from, to).toArray();
  }

  private static int[] part(int from, int to) {
    return Arrays.copyOfRange(TOKENS, from, to);
  }

  static Stream<Layout> layouts() {
    return Stream.of("llama 2", "qwen2 2", "gemma3-tiny")
        .flatMap(
            model ->
                Stream.of(true, false)
                    .flatMap(
                        unified ->
                            Stream.of(
                                new Layout(model, KvCacheType.F32, true, unified, true),
                                new Layout(model, KvCacheType.F16, true, unified, true),
                                new Layout(model, KvCacheType.F16, false, unified, true),
                                new Layout(model, KvCacheType.BF16, true, unified, true),
                                new Layout(model, KvCacheType.Q8_0, true, unified, true),
                                new Layout(model, KvCacheType.Q4_0, true, unified, true))))
        .filter(layout -> !layout.model().startsWith("gemma3") || !layout.type().isQuantised());
  }

  private static Layout plain(String model) {
    return new Layout(model, KvCacheType.F32, true, true, true);
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void cellsThatAreReadAndWritten_areTheSame(Layout layout) {
    try (Cells cells = new Cells(layout, RopeScaling.none())) {
      cells.decode(0, 0, part(0, 100));
      double[][] expected = cells.look(0, 100);
      MemorySegment rows = cells.read(0, 0, NativeCells.END);
      assertEquals(NativeCells.bytes(cells.context, 100), rows.byteSize());
      NativeMemory.removeAll(cells.context, 0);
      cells.write(0, 0, 100, 0, rows);
      assertArrayEquals(range(0, 100), cells.positions(0));
      assertArrayEquals(expected, cells.look(0, 100));
      // In another sequence, from where nothing else is.
      NativeMemory.removeAll(cells.context, 0);
      cells.write(1, 0, 100, 0, rows);
      assertArrayEquals(expected, cells.look(1, 100));
      // Into holes: what is there stays.
      MemorySegment hole = cells.read(1, 20, 70);
      NativeMemory.remove(cells.context, 1, 20, 70);
      assertEquals(50, cells.usage(1).held());
      cells.write(1, 20, 70, 0, hole);
      assertArrayEquals(range(0, 100), cells.positions(1));
      assertArrayEquals(expected, cells.look(1, 100));
      assertArrayEquals(
          rows.toArray(java.lang.foreign.ValueLayout.JAVA_BYTE), cells.bytes(1), "rows");
    }
  }

  static Stream<RopeScaling> scalings() {
    return Stream.of(
        RopeScaling.none(),
        RopeScaling.linear(4),
        RopeScaling.ntkAware(4),
        RopeScaling.ntkByParts(4),
        RopeScaling.yarn(4),
        RopeScaling.llama3(4),
        new SelfExtend(7, 33, true),
        new ReRope(16, true),
        new LeakyReRope(5.3, 21, false),
        new DualChunk(48, 16, false));
  }

  private static Positions reference(RopeScaling scaling) {
    RopeBasis basis = new RopeBasis(64, 195, ReferenceFiles.TRAINED);
    return switch (scaling) {
      case StaticScaling table -> Positions.of(table.rotation(basis));
      case TwoBand bands -> Positions.of(bands, basis);
      default -> Positions.of(Rotation.unscaled(basis));
    };
  }

  @ParameterizedTest
  @MethodSource("scalings")
  void movedCells_standWhereTheReferencePutsThem(RopeScaling scaling) {
    for (String name : REFERENCES.keySet()) {
      for (boolean unified : new boolean[] {true, false}) {
        ReferenceModel.Text text = REFERENCES.get(name).text(reference(scaling));
        text.append(part(0, 150));
        Layout layout =
            new Layout(name, KvCacheType.F32, scaling instanceof TwoBand, unified, true);
        try (Cells cells = new Cells(layout, scaling)) {
          cells.decode(1, 0, part(0, 150));
          int end = 150;
          for (int[] gap : new int[][] {{40, 97}, {0, 11}, {30, 31}}) {
            MemorySegment tail = cells.read(1, gap[1], NativeCells.END);
            NativeMemory.remove(cells.context, 1, gap[0], NativeCells.END);
            cells.write(1, gap[1], end, gap[0] - gap[1], tail);
            end -= gap[1] - gap[0];
            text.discard(gap[0], gap[1]);
          }
          assertArrayEquals(range(0, end), cells.positions(1));
          assertNear(
              "%s, %s, %s".formatted(name, scaling, unified),
              text.append(part(200, 225)),
              cells.decode(1, end, part(200, 225)),
              2e-4);
        }
      }
    }
  }

  @Test
  void cellsMovedForward_areThoseOfADecodeThere() {
    for (RopeScaling scaling :
        List.of(RopeScaling.none(), RopeScaling.yarn(4), new ReRope(16, false))) {
      for (KvCacheType type : List.of(KvCacheType.F32, KvCacheType.F16, KvCacheType.Q8_0)) {
        boolean flash = type.isQuantised() || scaling instanceof TwoBand;
        try (Cells cells = new Cells(new Layout("llama 2", type, flash, true, true), scaling)) {
          cells.decode(0, 0, part(0, 60));
          cells.write(1, 0, 60, 100, cells.read(0, 0, 60));
          double[][] moved = cells.decode(1, 160, part(60, 70));
          NativeMemory.removeAll(cells.context, 1);
          cells.decode(1, 100, part(0, 60));
          double[][] read = cells.decode(1, 160, part(60, 70));
          double tolerance = type == KvCacheType.F32 ? 1e-3 : type == KvCacheType.F16 ? 0.02 : 0.5;
          assertNear("%s, %s".formatted(scaling, type), read, moved, tolerance);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void aShiftOrAnEviction_afterPrivateCopies_changesNoOtherSequence(Layout layout) {
    try (Cells cells = new Cells(layout, RopeScaling.none())) {
      cells.decode(0, 0, part(0, 80));
      if (layout.unified()) {
        NativeMemory.share(cells.context, 0, 1);
        assertEquals(80, cells.usage(0).shared());
        cells.decode(0, 80, part(80, 90));
        assertEquals(80, cells.usage(0).heldShared());
      } else {
        NativeMemory.share(cells.context, 0, 1);
        cells.decode(0, 80, part(80, 90));
      }
      double[][] expected = cells.look(0, 90);
      byte[] rows = cells.bytes(0);
      int end = NativeCells.END;
      assertEquals(layout.unified() ? 30 : 0, NativeCells.copyPrivate(cells.context, 1, 50, end));
      assertEquals(layout.unified() ? 50 : 0, NativeCells.copyPrivate(cells.context, 1, 0, end));
      assertEquals(0, NativeCells.copyPrivate(cells.context, 1, 0, end));
      assertEquals(0, cells.usage(0).shared());
      assertEquals(80, cells.usage(1).held());
      // The copy is whole.
      NativeMemory.remove(cells.context, 0, 80, NativeCells.END);
      assertNear("the copy", cells.look(0, 80), cells.look(1, 80), rounding(layout));
      cells.decode(0, 80, part(80, 90));
      if (layout.type() != KvCacheType.BF16) {
        NativeMemory.discard(cells.context, 1, 10, 30);
        NativeMemory.shift(cells.context, 1, 20, NativeCells.END, 5);
      }
      NativeMemory.remove(cells.context, 1, 3, 9);
      assertArrayEquals(rows, cells.bytes(0), "rows");
      assertNear("the other one", expected, cells.look(0, 90), rounding(layout));
    }
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void compaction_leavesEverySequenceWhatItHad(Layout layout) {
    try (Cells cells = new Cells(layout, RopeScaling.none())) {
      cells.decode(0, 0, part(0, 60));
      cells.decode(1, 0, part(90, 150));
      cells.decode(0, 60, part(60, 90));
      NativeMemory.remove(cells.context, 0, 5, 50);
      NativeMemory.remove(cells.context, 1, 5, 50);
      double[][] first = cells.look(0, 90);
      double[][] second = cells.look(1, 60);
      try (Cells packed = new Cells(layout, RopeScaling.none())) {
        // The same cells in the same order, written into an empty cache.
        for (int[] run :
            new int[][] {{0, 0, 5}, {0, 50, 60}, {1, 0, 5}, {1, 50, 60}, {0, 60, 90}}) {
          packed.write(run[0], run[1], run[2], 0, cells.read(run[0], run[1], run[2]));
        }
        compact(layout, cells, first, second, packed);
      }
    }
  }

  private static void compact(
      Layout layout, Cells cells, double[][] first, double[][] second, Cells packed) {
    byte[] rows = cells.bytes(0);
    byte[] others = cells.bytes(1);
    NativeCells.Compaction done = NativeCells.compact(cells.context);
    assertEquals(150, done.extentBefore());
    assertEquals(60, done.extentAfter());
    assertEquals(60, cells.usage(0).extent() + (layout.unified() ? 0 : cells.usage(1).extent()));
    assertTrue(done.moved() > 0);
    assertArrayEquals(rows, cells.bytes(0));
    assertArrayEquals(others, cells.bytes(1));
    assertEquals(45, cells.positions(0).length);
    assertArrayEquals(packed.look(0, 90), cells.look(0, 90));
    assertArrayEquals(packed.look(1, 60), cells.look(1, 60));
    assertNear("first", first, cells.look(0, 90), rounding(layout));
    assertNear("second", second, cells.look(1, 60), rounding(layout));
    // What comes next stands right behind.
    cells.decode(0, 90, part(0, 10));
    assertEquals(layout.unified() ? 70 : 55, cells.usage(0).extent());
    assertEquals(0, NativeCells.compact(cells.context).moved());
  }

  /** What the order of the cells makes: attention sums up in half precision. */
  private static double rounding(Layout layout) {
    return layout.flash() ? 0.02 : 5e-3;
  }

  @Test
  void compactionKeepsSharing_andGivesMemoryBack() {
    Layout layout = new Layout("llama 2", KvCacheType.F32, true, true, true);
    try (Cells cells = new Cells(layout, RopeScaling.none())) {
      cells.decode(0, 0, part(0, 100));
      cells.decode(1, 200, 5);
      NativeMemory.removeAll(cells.context, 1);
      NativeMemory.share(cells.context, 0, 1);
      NativeMemory.remove(cells.context, 0, 0, 50);
      NativeMemory.remove(cells.context, 1, 0, 40);
      NativeCells.Compaction done = NativeCells.compact(cells.context);
      NativeCells.Usage usage = cells.usage(1);
      assertEquals(new NativeCells.Usage(SIZE, 60, 50, 60, 60, 50), usage);
      assertTrue(done.releasedBytes() > 0, done::toString);
      assertArrayEquals(range(50, 100), cells.positions(0));
      assertArrayEquals(range(40, 100), cells.positions(1));
      cells.decode(0, 100, part(0, 100)); // over what was given back
    }
  }

  @Test
  void whatDoesNotFit_isRefused_andNothingChanges() {
    try (Cells cells = new Cells(plain("llama 2"), RopeScaling.none())) {
      cells.decode(0, 0, part(0, 150));
      MemorySegment rows = cells.read(0, 0, 120);
      byte[] before = cells.bytes(0);
      NativeContext context = cells.context;
      assertThrows(KvCacheFullException.class, () -> cells.write(1, 0, 120, 0, rows));
      assertThrows(KvCacheFullException.class, () -> cells.write(1, 0, 120, 7, rows));
      NativeMemory.share(context, 0, 1);
      assertThrows(
          KvCacheFullException.class,
          () -> NativeCells.copyPrivate(context, 1, 0, NativeCells.END));
      assertEquals(150, cells.usage(1).heldShared());
      NativeMemory.removeAll(context, 1);
      MemorySegment two = cells.read(0, 3, 5);
      int[] stored = {3, 4};
      for (int[] positions : new int[][] {{200, 200}, {149, 150}, {-1, 200}, {3, 4}}) {
        assertThrows(
            IllegalArgumentException.class,
            () -> NativeCells.write(context, 0, stored, positions, two),
            Arrays.toString(positions));
      }
      for (MemorySegment wrong :
          List.of(two.asSlice(0, two.byteSize() - 1), rows, MemorySegment.NULL)) {
        assertThrows(
            IllegalArgumentException.class,
            () -> NativeCells.write(context, 0, stored, new int[] {200, 201}, wrong));
      }
      assertThrows(
          IllegalArgumentException.class,
          () -> NativeCells.write(context, 2, stored, new int[] {200, 201}, two));
      assertThrows(
          IllegalArgumentException.class,
          () -> NativeCells.write(context, 0, stored, new int[] {200}, two));
      assertThrows(
          UnsupportedOperationForModelException.class,
          () -> NativeCells.readInto(context, 0, 0, 10, two));
      assertArrayEquals(range(0, 150), cells.positions(0));
      assertEquals(0, cells.usage(1).held());
      assertArrayEquals(before, cells.bytes(0));
    }
  }

  @Test
  void slidingWindowLayers_keepWhatOthersKeep_alsoAfterAShift() {
    Layout layout = new Layout("gemma3-tiny", KvCacheType.F16, false, true, true);
    try (Cells cells = new Cells(layout, RopeScaling.none())) {
      cells.decode(0, 0, part(0, 150));
      NativeMemory.discard(cells.context, 0, 10, 20);
      cells.decode(0, 140, part(150, 200));
      // Refused, were a cell gone that has left the window.
      assertEquals(NativeCells.bytes(cells.context, 190), cells.bytes(0).length);
    }
  }

  @Test
  void memoriesThatCannot_areRefused() {
    for (String name : List.of("jamba-tiny", "mamba-tiny")) {
      try (Cells cells = new Cells(plain(name), RopeScaling.none())) {
        cells.decode(0, 0, part(0, 20));
        assertThrows(
            UnsupportedOperationForModelException.class, () -> cells.read(0, 0, NativeCells.END));
        IllegalArgumentException refused =
            assertThrows(
                IllegalArgumentException.class,
                () -> cells.write(1, 0, 1, 0, cells.arena.allocate(64)));
        assertTrue(refused.getMessage().contains("recurrent"), refused::getMessage);
      }
    }
    Layout bf16 = new Layout("llama 2", KvCacheType.BF16, true, true, true);
    try (Cells cells = new Cells(bf16, RopeScaling.none())) {
      cells.decode(0, 0, part(0, 20));
      MemorySegment rows = cells.read(0, 0, 20);
      assertThrows(IllegalArgumentException.class, () -> cells.write(1, 0, 20, 1, rows));
      assertEquals(0, cells.usage(1).held());
      cells.write(1, 0, 20, 0, rows);
    }
  }
}
