package dev.gatun;

import static dev.gatun.Differences.assertNear;
import static dev.gatun.Differences.evaluate;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.ReferenceModel.Positions;
import dev.gatun.error.KvCacheFullException;
import dev.gatun.gguf.GgufFile;
import dev.gatun.gguf.GgufValue;
import dev.gatun.gguf.GgufWriter;
import dev.gatun.gguf.SyntheticModel;
import dev.gatun.kv.Compaction;
import dev.gatun.kv.KvCacheType;
import dev.gatun.rope.DualChunk;
import dev.gatun.rope.Dynamic;
import dev.gatun.rope.FactorTable;
import dev.gatun.rope.LeakyReRope;
import dev.gatun.rope.ReRope;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.Rotation;
import dev.gatun.rope.SelfExtend;
import dev.gatun.rope.StaticScaling;
import dev.gatun.rope.TwoBand;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Contexts whose cells were moved, saved, shared or quantised, against {@link ReferenceModel}: a
 * key keeps the hidden state that it was made from and is rotated to where it is now.
 */
class ReferenceMovesTest {
  private static final int LENGTH = 4 * ReferenceFiles.TRAINED;
  private static final int[] TOKENS = ReferenceFiles.tokens(LENGTH, 4);
  private static final Map<String, LlamaModel> MODELS = new LinkedHashMap<>();
  private static final Map<String, ReferenceModel> REFERENCES = new LinkedHashMap<>();

  @TempDir static Path folder;

  @BeforeAll
  static void load() {
    add("llama", ReferenceFiles.write(folder, SyntheticModel.Family.LLAMA, 1));
    add("qwen2", ReferenceFiles.write(folder, SyntheticModel.Family.QWEN2, 1));
    add("llama, 2 layers", ReferenceFiles.write(folder, SyntheticModel.Family.LLAMA, 2));
  }

  private static void add(String name, Path path) {
    MODELS.put(name, LlamaModel.load(path));
    REFERENCES.put(name, new ReferenceModel(path));
  }

  @AfterAll
  static void close() {
    MODELS.values().forEach(LlamaModel::close);
  }

  private static ContextOptions options(RopeScaling scaling) {
    return ContextOptions.defaults()
        .withContextTokens(LENGTH)
        .withThreads(1)
        .withBatchThreads(1)
        .withKeyType(KvCacheType.F32)
        .withValueType(KvCacheType.F32)
        .withFlashAttention(scaling instanceof TwoBand ? FlashAttention.ON : FlashAttention.OFF)
        .withRopeScaling(scaling);
  }

  static Stream<RopeScaling> scalings() {
    return Stream.of(
        RopeScaling.none(),
        RopeScaling.linear(4),
        RopeScaling.ntkAware(4),
        RopeScaling.ntkFixed(4),
        RopeScaling.ntkByParts(4),
        RopeScaling.yarn(4),
        RopeScaling.yarn(4).withTruncate(false),
        RopeScaling.yarn(4).withExtrapolationFactor(0.5),
        RopeScaling.llama3(4),
        new FactorTable(FactorTable.of(RopeScaling.ntkByParts(3).rotation(basis())).factors(), 1.3),
        new SelfExtend(4, 16, false),
        new SelfExtend(7, 33, true),
        new ReRope(16, true),
        new LeakyReRope(5.3, 21, false),
        new LeakyReRope(4, 16, true),
        new DualChunk(48, 16, false),
        new DualChunk(64, 37, true));
  }

  private static dev.gatun.rope.RopeBasis basis() {
    return new dev.gatun.rope.RopeBasis(64, 195, ReferenceFiles.TRAINED);
  }

  private static Positions positions(RopeScaling scaling) {
    return switch (scaling) {
      case StaticScaling table -> Positions.of(table.rotation(basis()));
      case TwoBand bands -> Positions.of(bands, basis());
      default -> Positions.of(Rotation.unscaled(basis()));
    };
  }

  private static double tolerance(String name) {
    return name.contains("2 layers") ? 2e-4 : 1e-4;
  }

  private static int[] part(int from, int to) {
    return Arrays.copyOfRange(TOKENS, from, to);
  }

  @ParameterizedTest
  @MethodSource("scalings")
  void afterDiscarding_keysStandAtTheirNewPlaces(RopeScaling scaling) {
    for (String name : MODELS.keySet()) {
      ReferenceModel.Text reference = REFERENCES.get(name).text(positions(scaling));
      reference.append(part(0, 150));
      try (LlamaContext context = MODELS.get(name).newContext(options(scaling));
          LlamaSession session = context.newSession()) {
        session.append(part(0, 150));
        int at = 150;
        for (int[] range : new int[][] {{0, 37}, {5, 6}, {40, 97}, {3, 20}}) {
          session.discard(range[0], range[1]);
          reference.discard(range[0], range[1]);
          int[] more = part(at, at + 25);
          assertNear(
              "%s, %s, without %d to %d".formatted(scaling, name, range[0], range[1]),
              reference.append(more),
              evaluate(session, more),
              tolerance(name));
          at += 25;
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("scalings")
  void afterASplice_whatFollowsHasMoved(RopeScaling scaling) {
    for (String name : MODELS.keySet()) {
      ReferenceModel.Text reference = REFERENCES.get(name).text(positions(scaling));
      reference.append(part(0, 120));
      List<Integer> tokens = new ArrayList<>(Arrays.stream(part(0, 120)).boxed().toList());
      try (LlamaContext context = MODELS.get(name).newContext(options(scaling));
          LlamaSession session = context.newSession()) {
        session.append(part(0, 120));
        int at = 150;
        for (int[] splice : new int[][] {{40, 10, 25}, {0, 3, 1}, {70, 0, 9}, {20, 30, 0}}) {
          int[] inserted = part(at, at + splice[2]);
          session.splice(splice[0], splice[1], inserted);
          reference.splice(splice[0], splice[1], inserted);
          List<Integer> place = tokens.subList(splice[0], splice[0] + splice[1]);
          place.clear();
          place.addAll(Arrays.stream(inserted).boxed().toList());
          at += splice[2];
          assertArrayEquals(
              tokens.stream().mapToInt(token -> token).toArray(), session.tokens(), "tokens");
          int[] more = part(at, at + 5);
          assertNear(
              "%s, %s, %s".formatted(scaling, name, Arrays.toString(splice)),
              reference.append(more),
              evaluate(session, more),
              tolerance(name));
          tokens.addAll(Arrays.stream(more).boxed().toList());
          at += 5;
        }
        assertEquals(tokens.size(), session.position());
      }
    }
  }

  @Test
  void aSpliceThatFindsNoRoom_leavesEverythingAsItWas() {
    ContextOptions options =
        options(RopeScaling.none()).withMaxSequences(2).withUnifiedKv(true).withBatchTokens(16);
    try (LlamaContext context = MODELS.get("llama").newContext(options);
        LlamaSession other = context.newSession();
        LlamaSession session = context.newSession()) {
      other.append(part(0, 100));
      session.append(part(100, 240));
      double[][] expected = evaluate(session, part(0, 5));
      session.truncate(140);
      // The first batches find room, the last one does not.
      assertThrows(
          KvCacheFullException.class, () -> session.splice(60, 20, ReferenceFiles.tokens(60, 2)));
      assertArrayEquals(part(100, 240), session.tokens());
      assertNear("as before", expected, evaluate(session, part(0, 5)), 1e-4);
      assertThrows(IndexOutOfBoundsException.class, () -> session.splice(140, 6));
      assertThrows(IndexOutOfBoundsException.class, () -> session.splice(0, 0, -1));
    }
  }

  @Test
  void compact_keepsSessions_andTellsWhatItGained() {
    ContextOptions options = options(RopeScaling.none()).withMaxSequences(2).withUnifiedKv(true);
    ReferenceModel.Text reference = REFERENCES.get("llama").text(positions(RopeScaling.none()));
    reference.append(part(100, 160));
    try (LlamaContext context = MODELS.get("llama").newContext(options);
        LlamaSession session = context.newSession()) {
      try (LlamaSession other = context.newSession()) {
        other.append(part(0, 100));
        session.append(part(100, 160));
      }
      Compaction done = context.compact();
      assertEquals(160, done.extentBefore());
      assertEquals(60, done.extentAfter());
      assertEquals(60, done.movedCells());
      assertNear("compacted", reference.append(part(0, 20)), evaluate(session, part(0, 20)), 1e-4);
    }
  }

  @Test
  void aDiscardAfterWhichNothingIsDecoded_changesOnlyPlaces() {
    // The last token is decoded again by logits(): its own key is new, the others have moved.
    for (RopeScaling scaling : scalings().toList()) {
      ReferenceModel.Text reference = REFERENCES.get("llama").text(positions(scaling));
      reference.append(part(0, 120));
      reference.discard(10, 60);
      reference.discard(69, 70);
      double[][] expected = reference.append(TOKENS[119]);
      try (LlamaContext context = MODELS.get("llama").newContext(options(scaling));
          LlamaSession session = context.newSession()) {
        session.append(part(0, 120));
        session.discard(10, 60);
        double[][] actual = {Differences.copy(session.logits())};
        assertNear(scaling + ", the last token again", expected, actual, 1e-4);
      }
    }
  }

  @Test
  void yarnInTheFile_isTheFilesScaling_alsoAfterDiscarding() {
    Path plain = ReferenceFiles.write(folder, SyntheticModel.Family.LLAMA, 1);
    Path scaled = folder.resolve("yarn.gguf");
    GgufWriter.copyOf(GgufFile.open(plain))
        .put("llama.rope.scaling.type", GgufValue.text("yarn"))
        .put("llama.rope.scaling.factor", GgufValue.float32(4))
        .put("llama.rope.scaling.original_context_length", GgufValue.uint32(64))
        .put("llama.context_length", GgufValue.uint32(256))
        .write(scaled);
    ReferenceModel.Text reference = REFERENCES.get("llama").text(positions(RopeScaling.yarn(4)));
    try (LlamaModel model = LlamaModel.load(scaled);
        LlamaContext context = model.newContext(options(RopeScaling.modelDefault()));
        LlamaSession session = context.newSession()) {
      assertNear(
          "YaRN of the file",
          reference.append(part(0, 150)),
          evaluate(session, part(0, 150)),
          1e-4);
      for (int i = 0; i < 8; i++) {
        session.discard(3, 9);
        reference.discard(3, 9);
      }
      assertNear(
          "YaRN of the file, discarded",
          reference.append(part(150, 200)),
          evaluate(session, part(150, 200)),
          1e-4);
    }
  }

  @ParameterizedTest
  @MethodSource("scalings")
  void aSavedSession_goesOnAsTheOneThatItWasSavedFrom(RopeScaling scaling) {
    LlamaModel model = MODELS.get("llama, 2 layers");
    try (LlamaContext context = model.newContext(options(scaling));
        LlamaSession session = context.newSession();
        LlamaContext other = model.newContext(options(scaling));
        LlamaSession restored = other.newSession()) {
      session.append(part(0, 120));
      session.discard(20, 50);
      SessionState state = session.save();
      double[][] expected = evaluate(session, part(120, 160));
      restored.append(part(200, 230));
      restored.restore(state);
      assertArrayEquals(state.tokens(), restored.tokens());
      assertNear(scaling + ", restored", expected, evaluate(restored, part(120, 160)), 1e-5);
      // A shift that comes first in a context, before anything was decoded there.
      session.restore(state);
      session.discard(0, 30);
      expected = evaluate(session, part(120, 160));
      try (LlamaContext third = model.newContext(options(scaling));
          LlamaSession moved = third.newSession()) {
        moved.restore(state);
        moved.discard(0, 30);
        assertNear(scaling + ", moved", expected, evaluate(moved, part(120, 160)), 1e-5);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("scalings")
  void sequencesOfOneBatch_doNotMeet(RopeScaling scaling) {
    FlashAttention attention = options(scaling).flashAttention();
    for (String name : List.of("llama", "qwen2")) {
      for (boolean unified : new boolean[] {true, false}) {
        Random random = new Random(5);
        List<ReferenceModel.Text> references = new ArrayList<>();
        int[] positions = new int[3];
        for (int i = 0; i < 3; i++) {
          references.add(REFERENCES.get(name).text(positions(scaling)));
        }
        LlamaModel model = MODELS.get(name);
        int tokens = 3 * LENGTH;
        try (RawContext context =
            new RawContext(
                model,
                tokens,
                3,
                unified,
                attention,
                RawContext.parameters(model, scaling, tokens))) {
          for (int batch = 0; batch < 7; batch++) {
            List<RawContext.Entry> entries = new ArrayList<>();
            double[][] expected = new double[60][];
            // Sequence 2 gets few tokens, and none at times.
            int[] share = {batch % 2 == 0 ? 40 : 5, 25, batch % 3 == 0 ? 0 : 3};
            int count = 0;
            for (int s = 0; s < 3; s++) {
              for (int i = 0; i < share[s] && count < 60; i++) {
                int token = random.nextInt(3, ReferenceFiles.VOCABULARY);
                entries.add(new RawContext.Entry(token, positions[s]++, s));
                expected[count++] = references.get(s).append(token)[0];
              }
            }
            assertNear(
                "%s, %s, %s, batch %d"
                    .formatted(scaling, name, unified ? "one pool" : "pools", batch),
                Arrays.copyOf(expected, count),
                context.decode(entries),
                1e-4);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("scalings")
  void forksShareCells_andGoTheirWays(RopeScaling scaling) {
    for (boolean unified : new boolean[] {true, false}) {
      ContextOptions options =
          options(scaling).withContextTokens(2 * LENGTH).withMaxSequences(2).withUnifiedKv(unified);
      RopeScaling resolved =
          scaling instanceof TwoBand bands ? bands.resolved(64, 2 * LENGTH) : scaling;
      ReferenceModel.Text first = REFERENCES.get("llama").text(positions(resolved));
      first.append(part(0, 80));
      try (LlamaContext context = MODELS.get("llama").newContext(options);
          LlamaSession session = context.newSession()) {
        session.append(part(0, 80));
        try (LlamaSession fork = session.fork()) {
          ReferenceModel.Text second = first.fork();
          for (int at = 80; at < 140; at += 20) {
            int[] a = part(at, at + 20);
            int[] b = part(at + 60, at + 80);
            assertNear(resolved + ", trunk", first.append(a), evaluate(session, a), 1e-4);
            assertNear(resolved + ", fork", second.append(b), evaluate(fork, b), 1e-4);
          }
          // The cells that move are copied first: the trunk keeps its own.
          fork.discard(10, 30);
          second.discard(10, 30);
          assertNear(
              resolved + ", fork", second.append(part(0, 9)), evaluate(fork, part(0, 9)), 1e-4);
          assertNear(
              resolved + ", trunk",
              first.append(part(9, 19)),
              evaluate(session, part(9, 19)),
              1e-4);
        }
        session.discard(10, 30);
        first.discard(10, 30);
        assertNear(
            resolved + ", alone", first.append(part(0, 9)), evaluate(session, part(0, 9)), 1e-4);
      }
    }
  }

  @Test
  void quantisedOrRoundedCells_costAScalingNoMoreThanPlainAttention() {
    ReferenceModel reference = REFERENCES.get("llama");
    for (KvCacheType type :
        List.of(KvCacheType.F16, KvCacheType.Q8_0, KvCacheType.Q5_1, KvCacheType.Q4_0)) {
      double bound = 0;
      for (RopeScaling scaling : scalings().toList()) {
        ContextOptions options =
            options(scaling)
                .withFlashAttention(FlashAttention.ON)
                .withKeyType(type)
                .withValueType(type);
        ReferenceModel.Text text = reference.text(positions(scaling));
        try (LlamaContext context = MODELS.get("llama").newContext(options);
            LlamaSession session = context.newSession()) {
          double read = rms(text.append(part(0, 150)), evaluate(session, part(0, 150)));
          session.discard(20, 60);
          text.discard(20, 60);
          double moved = rms(text.append(part(150, 200)), evaluate(session, part(150, 200)));
          if (Boolean.getBoolean("gatun.differences")) {
            System.out.printf("@@ %.2e %s %s, then %.2e%n", read, type, scaling, moved);
          }
          if (scaling instanceof RopeScaling.None) {
            bound = Math.max(read, moved);
          }
          double most = 1.5 * bound;
          assertTrue(
              read <= most && moved <= most,
              () ->
                  "%s with %s keys: %.2e and %.2e, plain %.2e"
                      .formatted(scaling, type, read, moved, most));
        }
      }
    }
  }

  private static double rms(double[][] a, double[][] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      for (int j = 0; j < a[i].length; j++) {
        sum += (a[i][j] - b[i][j]) * (a[i][j] - b[i][j]);
      }
    }
    return Math.sqrt(sum / a.length / a[0].length);
  }

  @Test
  void dynamic_discardsSavesAndRestores_underTheScalingOfItsLength() {
    for (Dynamic.Family family : Dynamic.Family.values()) {
      RopeScaling grown =
          switch (family) {
            case LINEAR -> RopeScaling.linear(4);
            case NTK_AWARE -> RopeScaling.ntkAware(4);
            case YARN -> RopeScaling.yarn(4);
            case AUTO -> RopeScaling.rerope().resolved(64, LENGTH);
          };
      ContextOptions options =
          options(grown)
              .withRopeScaling(new Dynamic(family))
              .withFlashAttention(FlashAttention.AUTO);
      if (family != Dynamic.Family.AUTO) {
        options = options.withFlashAttention(FlashAttention.OFF);
      }
      ReferenceModel.Text reference = REFERENCES.get("llama").text(positions(grown));
      reference.append(part(0, 150));
      reference.discard(20, 60);
      try (LlamaContext context = MODELS.get("llama").newContext(options);
          LlamaSession session = context.newSession()) {
        session.append(part(0, 150));
        session.discard(20, 60);
        SessionState state = session.save();
        double[][] expected = reference.append(part(150, 160));
        assertNear(family + ", discarded", expected, evaluate(session, part(150, 160)), 1e-4);
        session.restore(state);
        assertNear(family + ", restored", expected, evaluate(session, part(150, 160)), 1e-4);
      }
    }
  }
}
