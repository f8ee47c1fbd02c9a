package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.error.StateFormatException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.gguf.SyntheticModel;
import dev.gatun.kv.CheckpointOptions;
import dev.gatun.kv.KvCacheType;
import dev.gatun.kv.StateFacts;
import dev.gatun.kv.StateFile;
import dev.gatun.rope.RopeScaling;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** State files and checkpoints, on dense, sliding-window, recurrent and hybrid models. */
class SavedStateTest {
  private static final String DENSE = "qwen2-tiny";
  private static final String WINDOW = "gemma3-tiny";
  private static final String RECURRENT = "mamba-tiny";
  private static final String HYBRID = "jamba-tiny";

  @TempDir static Path models;
  @TempDir Path folder;

  @BeforeAll
  static void write() {
    for (String name : List.of(DENSE, WINDOW, RECURRENT, HYBRID)) {
      SyntheticModel.write(SyntheticModel.Shape.named(name), TestModels.tiny(), file(name), 1);
    }
  }

  private static Path file(String name) {
    return models.resolve(name + ".gguf");
  }

  private static ContextOptions options() {
    return ContextOptions.defaults()
        .withContextTokens(1024)
        .withMicroBatchTokens(128)
        .withThreads(1)
        .withBatchThreads(1);
  }

  private static SessionOptions checkpoints(int every) {
    return SessionOptions.defaults()
        .withCheckpoints(CheckpointOptions.defaults().withEveryTokens(every));
  }

  private static int[] text(int count, int seed) {
    return new Random(seed).ints(count, 300, 2000).toArray();
  }

  private static float[] logits(LlamaSession session, int token) {
    session.append(token);
    return session.logits().toArray(ValueLayout.JAVA_FLOAT);
  }

  @ParameterizedTest
  @ValueSource(strings = {DENSE, WINDOW, RECURRENT, HYBRID})
  void restoredFromAFile_goesOnBitForBit(String name) {
    Path path = folder.resolve("a.gkv");
    int[] tokens = text(300, 1);
    float[][] expected = new float[20][];
    try (LlamaModel model = LlamaModel.load(file(name));
        LlamaContext context = model.newContext(options());
        LlamaSession session = context.newSession()) {
      session.append(tokens);
      StateFacts facts = session.save().write(path, "a label");
      assertEquals(300, facts.tokens());
      for (int i = 0; i < expected.length; i++) {
        expected[i] = logits(session, 400 + i);
      }
    }
    StateFacts facts = StateFile.verify(path);
    assertEquals("a label", facts.label());
    assertEquals(300, facts.decoded());
    try (LlamaModel model = LlamaModel.load(file(name));
        LlamaContext context = model.newContext(options());
        LlamaSession session = context.newSession()) {
      session.append(text(40, 9)); // it need not be empty
      session.restore(SessionState.read(path));
      assertArrayEquals(tokens, session.tokens());
      for (int i = 0; i < expected.length; i++) {
        assertArrayEquals(expected[i], logits(session, 400 + i), "token " + i);
      }
    }
  }

  /**
   * Bit for bit where the cells lie as they would after a fresh read. In a window they lie in
   * another order, so that sums are rounded differently: there the model is one of float32.
   */
  @ParameterizedTest
  @ValueSource(strings = {WINDOW, RECURRENT, HYBRID})
  void truncatedWithACheckpoint_equalsAFreshRead(String name) {
    int[] tokens = text(500, 2);
    ContextOptions options = options().withKeyType(KvCacheType.F32).withValueType(KvCacheType.F32);
    float[] got;
    Path file =
        name.equals(WINDOW)
            ? ReferenceFiles.write(folder, SyntheticModel.Family.GEMMA3, 6)
            : file(name);
    try (LlamaModel model = LlamaModel.load(file)) {
      try (LlamaContext context = model.newContext(options);
          LlamaSession session = context.newSession(checkpoints(128))) {
        session.append(tokens);
        assertEquals(List.of(128, 256, 384, 496), session.checkpoints());
        session.truncate(152);
        assertEquals(152, session.size());
        assertEquals(128, session.readTokens());
        assertEquals(List.of(128), session.checkpoints());
        got = logits(session, 700);
        assertEquals(153, session.readTokens());
      }
      try (LlamaContext context = model.newContext(options);
          LlamaSession fresh = context.newSession()) {
        fresh.append(Arrays.copyOf(tokens, 128)); // the same ends of batches
        fresh.append(append(Arrays.copyOfRange(tokens, 128, 152), 700));
        float[] expected = fresh.logits().toArray(ValueLayout.JAVA_FLOAT);
        assertNear(expected, got, name.equals(WINDOW) ? 1e-4 : 0);
        if (name.equals(WINDOW)) {
          fresh.truncate(0);
          fresh.append(append(Arrays.copyOfRange(tokens, 102, 152), 700));
          assertFar(expected, fresh.logits().toArray(ValueLayout.JAVA_FLOAT));
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {WINDOW, RECURRENT, HYBRID})
  void checkpointsAreSaved_andARestoredSessionGoesBackByThem(String name) {
    Path path = folder.resolve("b.gkv");
    int[] tokens = text(500, 3);
    ContextOptions options = options().withKeyType(KvCacheType.F32).withValueType(KvCacheType.F32);
    float[] expected;
    try (LlamaModel model = LlamaModel.load(file(name));
        LlamaContext context = model.newContext(options);
        LlamaSession session = context.newSession(checkpoints(128))) {
      session.append(tokens);
      StateFacts facts = session.save().write(path);
      assertEquals(List.of(128, 256, 384, 496), facts.checkpoints());
      session.truncate(450);
      expected = logits(session, 700);
    }
    try (LlamaModel model = LlamaModel.load(file(name));
        LlamaContext context = model.newContext(options);
        LlamaSession session = context.newSession(checkpoints(128))) {
      session.restore(SessionState.read(path));
      session.truncate(450);
      assertEquals(384, session.readTokens());
      assertNear(expected, logits(session, 700), name.equals(WINDOW) ? 1e-4 : 0);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {WINDOW, RECURRENT, HYBRID})
  void withoutACheckpoint_theCutIsRefused_andNothingChanges(String name) {
    try (LlamaModel model = LlamaModel.load(file(name));
        LlamaContext context = model.newContext(options());
        LlamaSession session = context.newSession()) {
      session.append(text(500, 4));
      assertThrows(UnsupportedOperationForModelException.class, () -> session.truncate(100));
      assertEquals(500, session.size());
      session.checkpoint();
      session.append(text(100, 5));
      session.truncate(500);
      assertEquals(500, session.readTokens());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {WINDOW, RECURRENT, HYBRID})
  void forkedSessions_goBackByTheSameCheckpoint_withoutTouchingEachOther(String name) {
    ContextOptions options = options().withMaxSequences(3).withUnifiedKv(true);
    try (LlamaModel model = LlamaModel.load(file(name));
        LlamaContext context = model.newContext(options);
        LlamaSession session = context.newSession(checkpoints(128))) {
      session.append(text(300, 6));
      try (LlamaSession fork = session.fork();
          LlamaSession other = context.newSession()) {
        other.append(text(100, 8));
        other.save(); // changes nothing for anybody
        fork.truncate(140);
        float[] first = logits(fork, 700);
        session.truncate(140);
        float[] second = logits(session, 700);
        assertNear(first, second, 0.02);
        fork.truncate(0);
        other.append(5, 6, 7);
        assertEquals(141, session.size());
        session.append(8, 9);
        assertEquals(List.of(128), session.checkpoints());
      }
    }
  }

  @Test
  void aDenseModelKeepsNoCheckpoints() {
    try (LlamaModel model = LlamaModel.load(file(DENSE));
        LlamaContext context = model.newContext(options());
        LlamaSession session = context.newSession(checkpoints(64))) {
      session.append(text(300, 4));
      assertEquals(List.of(), session.checkpoints());
    }
  }

  @Test
  void checkpointsStayWithinTheirBounds() {
    try (LlamaModel model = LlamaModel.load(file(RECURRENT));
        LlamaContext context = model.newContext(options());
        LlamaSession session =
            context.newSession(
                SessionOptions.defaults()
                    .withCheckpoints(
                        CheckpointOptions.defaults().withEveryTokens(32).withMaxCount(5)))) {
      session.append(text(900, 4));
      List<Integer> kept = session.checkpoints();
      assertEquals(5, kept.size());
      assertEquals(896, kept.getLast());
      assertTrue(kept.getFirst() <= 512, kept::toString);
    }
  }

  @Test
  void aRestoredSession_keepsTheCheckpointsThatItsOwnOptionsAllow() {
    try (LlamaModel model = LlamaModel.load(file(RECURRENT));
        LlamaContext context = model.newContext(options().withMaxSequences(2));
        LlamaSession session = context.newSession(checkpoints(32));
        LlamaSession other =
            context.newSession(
                SessionOptions.defaults()
                    .withCheckpoints(CheckpointOptions.manual().withMaxCount(3)))) {
      session.append(text(300, 4));
      SessionState state = session.save();
      assertTrue(state.checkpoints().size() > 3);
      other.restore(state);
      assertEquals(3, other.checkpoints().size());
      assertEquals(state.checkpoints().getLast(), other.checkpoints().getLast());
    }
  }

  @Test
  void aFailedAppend_returnsARecurrentSessionToItsCheckpoint() {
    try (LlamaModel model = LlamaModel.load(file(RECURRENT));
        LlamaContext context = model.newContext(options().withBatchTokens(128));
        LlamaSession session = context.newSession(checkpoints(256))) {
      session.append(text(200, 4));
      assertThrows(
          dev.gatun.error.CallbackException.class,
          () ->
              session.append(
                  text(300, 5),
                  Cancellation.never(),
                  (done, total) -> {
                    throw new IllegalStateException("no");
                  }));
      assertEquals(200, session.size());
      assertEquals(200, session.readTokens());
    }
  }

  @Test
  void aFileOfAnotherModelOrSetting_isRefusedWithWhatDiffers() {
    Path path = folder.resolve("c.gkv");
    try (LlamaModel model = LlamaModel.load(file(DENSE))) {
      save(model, options(), path);
      SessionState state = SessionState.read(path);
      refused(
          model,
          options().withKeyType(KvCacheType.Q8_0),
          state,
          "key type F16 in the state, Q8_0 here");
      refused(model, options().withRopeScaling(RopeScaling.linear(2)), state, "position scaling");
      refused(model, options().withFlashAttention(FlashAttention.OFF), state, "flash attention");
      refused(model, options().withMaxSequences(2).withUnifiedKv(false), state, "pools of cells 1");
    }
    try (LlamaModel other = LlamaModel.load(file(WINDOW))) {
      refused(other, options(), SessionState.read(path), "another model (qwen2-tiny");
    }
  }

  private static void save(LlamaModel model, ContextOptions options, Path path) {
    try (LlamaContext context = model.newContext(options);
        LlamaSession session = context.newSession()) {
      session.append(text(50, 4));
      session.save().write(path);
    }
  }

  private static void refused(
      LlamaModel model, ContextOptions options, SessionState state, String what) {
    try (LlamaContext context = model.newContext(options);
        LlamaSession session = context.newSession()) {
      session.append(1, 500);
      StateFormatException e =
          assertThrows(StateFormatException.class, () -> session.restore(state));
      assertTrue(e.getMessage().contains(what), e.getMessage());
      assertArrayEquals(new int[] {1, 500}, session.tokens());
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void valuesLaidOutTheOtherWay_andSeveralPools_areRestoredToo(boolean unified) {
    Path path = folder.resolve("d.gkv");
    ContextOptions options =
        options().withMaxSequences(3).withUnifiedKv(unified).withFlashAttention(FlashAttention.OFF);
    float[] expected;
    for (String name : List.of(DENSE, WINDOW, HYBRID)) {
      try (LlamaModel model = LlamaModel.load(file(name));
          LlamaContext context = model.newContext(options);
          LlamaSession first = context.newSession();
          LlamaSession session = context.newSession();
          LlamaSession third = context.newSession()) {
        first.append(text(30, 1));
        session.append(text(200, 7));
        session.save().write(path);
        expected = logits(session, 700);
        third.restore(SessionState.read(path));
        assertNear(expected, logits(third, 700), 1e-4);
      }
    }
  }

  /** The restored window has no cell to step back to; it was refused as if by a recurrent state. */
  @Test
  void logitsOfARestoredWindow_areThoseOfTheTextReadAgain() {
    int[] text = text(150, 5);
    try (LlamaModel model = LlamaModel.load(file(WINDOW));
        LlamaContext context = model.newContext(options());
        LlamaContext other = model.newContext(options());
        LlamaSession session = context.newSession();
        LlamaSession restored = other.newSession()) {
      session.append(text);
      restored.restore(session.save());
      float[] actual = restored.logits().toArray(ValueLayout.JAVA_FLOAT);
      session.clear();
      session.append(text);
      // The cells lie in another order, which decides how half precision is rounded.
      assertNear(session.logits().toArray(ValueLayout.JAVA_FLOAT), actual, 1e-2);
      assertArrayEquals(text, restored.tokens());
    }
  }

  @Test
  void tokensThatWereNotReadYet_areSavedAndReadLater() {
    Path path = folder.resolve("e.gkv");
    try (LlamaModel model = LlamaModel.load(TestModels.tiny());
        LlamaContext context = model.newContext(options().withMaxSequences(2));
        LlamaSession session = context.newSession();
        LlamaSession other = context.newSession()) {
      session.generate("It was", GenerationOptions.defaults().withMaxTokens(5)).text();
      assertEquals(session.size() - 1, session.readTokens());
      session.save().write(path);
      other.restore(SessionState.read(path));
      assertArrayEquals(
          session.logits().toArray(ValueLayout.JAVA_FLOAT),
          other.logits().toArray(ValueLayout.JAVA_FLOAT));
      session.clear();
      session.save().write(path); // nothing at all
      other.restore(SessionState.read(path));
      assertEquals(0, other.size());
    }
  }

  @Test
  void aWriteThatFails_leavesTheOldFileAndNothingElse() throws IOException {
    try (LlamaModel model = LlamaModel.load(TestModels.tiny());
        LlamaContext context = model.newContext(options());
        LlamaSession session = context.newSession()) {
      session.append("It was");
      SessionState state = session.save();
      Path taken = Files.createDirectories(folder.resolve("taken/inside")).getParent();
      assertThrows(java.io.UncheckedIOException.class, () -> state.write(taken));
      try (Stream<Path> files = Files.list(folder)) {
        assertEquals(List.of(taken), files.toList());
      }
      assertFalse(Files.exists(folder.resolve("missing")));
      assertThrows(
          java.io.UncheckedIOException.class, () -> state.write(folder.resolve("missing/a.gkv")));
    }
  }

  private static int[] append(int[] tokens, int token) {
    int[] all = Arrays.copyOf(tokens, tokens.length + 1);
    all[tokens.length] = token;
    return all;
  }

  private static void assertNear(float[] expected, float[] actual, double tolerance) {
    assertEquals(expected.length, actual.length);
    double most = 0;
    for (int i = 0; i < expected.length; i++) {
      most = Math.max(most, Math.abs(expected[i] - actual[i]));
    }
    assertTrue(most <= tolerance, "logits differ by " + most);
  }

  /** The text before a window counts, so that a session which has lost it is found out. */
  private static void assertFar(float[] expected, float[] actual) {
    double most = 0;
    for (int i = 0; i < expected.length; i++) {
      most = Math.max(most, Math.abs(expected[i] - actual[i]));
    }
    assertTrue(most > 0.05, "logits differ by only " + most);
  }
}
