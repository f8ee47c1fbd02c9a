package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.error.AlreadyClosedException;
import dev.gatun.gguf.SyntheticModel.Family;
import dev.gatun.internal.NativeCells;
import dev.gatun.kv.KvCacheType;
import dev.gatun.rope.Dynamic;
import dev.gatun.rope.FactorTable;
import dev.gatun.rope.RopeScaling;
import dev.gatun.sampling.Sampler;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class PrefixCacheTest {
  private static final GenerationOptions GREEDY =
      GenerationOptions.defaults().withSampler(Sampler.greedy()).withMaxTokens(12);

  /** Reuses to the token, so that short texts do. */
  private static final PrefixCacheOptions LOOSE = PrefixCacheOptions.defaults().withExact(false);

  private static final PrefixCacheOptions HOST_ONLY = LOOSE.withResidentTokens(0);
  private static LlamaModel model;
  private static int[] prose;

  @TempDir Path folder;

  @BeforeAll
  static void load() throws IOException {
    model = LlamaModel.load(TestModels.tiny());
    prose = model.tokenizer().encode(Files.readString(TestModels.heldout()).substring(0, 20_000));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static ContextOptions options(int tokens, int sequences) {
    return ContextOptions.defaults()
        .withContextTokens(tokens)
        .withMaxSequences(sequences)
        .withUnifiedKv(true)
        .withThreads(1)
        .withBatchThreads(1);
  }

  private static int[] part(int from, int to) {
    return Arrays.copyOfRange(prose, from, to);
  }

  private static int[] join(int[] a, int... b) {
    int[] joined = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, joined, a.length, b.length);
    return joined;
  }

  /** Cells in use, in a unified cache. */
  private static int used(LlamaSession session) {
    session.enter();
    try {
      return NativeCells.usage(session.nativeContext(), 0).used();
    } finally {
      session.exit();
    }
  }

  private static PrefixReuse read(PrefixCache cache, LlamaSession session, int... text) {
    PrefixReuse reuse = cache.open(session, text);
    assertArrayEquals(Arrays.copyOf(text, reuse.tokens()), session.tokens());
    session.append(reuse.rest(text));
    return reuse;
  }

  private static String alone(int... text) {
    try (LlamaContext context = model.newContext(options(512, 1));
        LlamaSession session = context.newSession()) {
      return session.generate(text, GREEDY).text();
    }
  }

  @Test
  void aTextThatBeginsLikeAnother_sharesItsCells_andSaysTheSame() {
    try (LlamaContext context = model.newContext(options(512, 4));
        PrefixCache cache = context.newPrefixCache(LOOSE);
        LlamaSession first = context.newSession();
        LlamaSession second = context.newSession()) {
      int[] one = part(0, 120);
      int[] other = join(part(0, 90), part(200, 215));
      assertEquals(0, read(cache, first, one).tokens());
      assertEquals(120, cache.store(first));
      assertEquals(120, used(first), "nothing is copied");
      PrefixReuse reuse = read(cache, second, other);
      assertEquals(new PrefixReuse(90, 0, 0), reuse);
      assertEquals(120 + 15, used(first));
      assertEquals(alone(other), second.generate(GREEDY).text());
      assertEquals(alone(one), first.generate(GREEDY).text());
      PrefixCacheStats stats = cache.stats();
      assertEquals(2, stats.lookups());
      assertEquals(0.5, stats.hitRate());
      assertEquals(90, stats.tokensSaved());
      assertEquals(90 / 225.0, stats.savedShare(), 1e-12);
      assertEquals(120, stats.residentTokens());
      assertEquals(120 * 2048, stats.residentBytes()); // 4 layers, keys and values, 128 F16 each
    }
  }

  @Test
  void aKnownText_leavesItsLastToken_whichGivesTheLogits() {
    try (LlamaContext context = model.newContext(options(256, 3));
        PrefixCache cache = context.newPrefixCache(LOOSE);
        LlamaSession first = context.newSession();
        LlamaSession second = context.newSession()) {
      int[] text = part(0, 50);
      read(cache, first, text);
      cache.store(first);
      assertEquals(49, read(cache, second, text).tokens());
      assertEquals(50, used(first) - 1);
      assertEquals(alone(text), second.generate(GREEDY).text());
      LlamaSession third = context.newSession();
      assertEquals(0, cache.open(third, text[0]).tokens());
      assertEquals(0, cache.open(third).tokens());
    }
  }

  @Test
  void whatEndsInAClosedSession_isStillShared_andAConversationGoesOn() {
    try (LlamaContext context = model.newContext(options(512, 3));
        PrefixCache cache = context.newPrefixCache(LOOSE)) {
      int[] text = part(0, 60);
      for (int turn = 0; turn < 4; turn++) {
        try (LlamaSession session = context.newSession()) {
          PrefixReuse reuse = read(cache, session, text);
          assertEquals(turn == 0 ? 0 : text.length - 10, reuse.tokens());
          session.generate(GREEDY).text();
          cache.store(session);
          text = join(session.tokens(), part(300 + 10 * turn, 310 + 10 * turn));
          // The last token of an answer was not read yet.
          text = join(Arrays.copyOf(session.tokens(), cache.store(session)), part(300, 310));
        }
      }
      assertEquals(1, cache.stats().residentSequences(), "one path");
    }
  }

  @Test
  void branches_takeASequenceEach_andShareTheirBeginning() {
    try (LlamaContext context = model.newContext(options(512, 8));
        PrefixCache cache = context.newPrefixCache(LOOSE.withHostBytes(0))) {
      for (int i = 0; i < 4; i++) {
        try (LlamaSession session = context.newSession()) {
          read(cache, session, join(part(0, 100), part(200 + 20 * i, 220 + 20 * i)));
          cache.store(session);
        }
      }
      assertEquals(4, cache.stats().residentSequences());
      assertEquals(180, cache.stats().residentTokens());
      try (LlamaSession session = context.newSession()) {
        assertEquals(180, used(session));
        assertEquals(110, cache.open(session, join(part(0, 100), part(240, 251))).tokens());
      }
    }
  }

  @Test
  void textsReadApart_areStoredOnce() {
    try (LlamaContext context = model.newContext(options(512, 4));
        PrefixCache cache = context.newPrefixCache(LOOSE);
        LlamaSession b = context.newSession()) {
      LlamaSession a = context.newSession();
      a.append(part(0, 100));
      b.append(join(part(0, 80), part(150, 170)));
      cache.store(a);
      cache.store(b);
      assertEquals(200, used(a));
      a.close();
      b.clear();
      assertEquals(120, used(b));
      assertEquals(120, cache.stats().residentTokens());
    }
  }

  @Test
  void sessionsThatNeedCells_getThem_andTheRestIsSpilledAndComesBack() {
    try (LlamaContext context = model.newContext(options(256, 4));
        PrefixCache cache = context.newPrefixCache(LOOSE)) {
      int[] cold = part(0, 120);
      try (LlamaSession session = context.newSession()) {
        read(cache, session, cold);
        cache.store(session);
      }
      try (LlamaSession session = context.newSession()) {
        session.append(part(500, 740)); // 240 of 256 cells
        assertEquals(0, cache.stats().residentTokens());
        assertEquals(1, cache.stats().spillsToHost());
        assertEquals(120 * 2048, cache.stats().hostBytes());
        assertEquals(240, used(session));
      }
      try (LlamaSession session = context.newSession()) {
        int[] text = join(part(0, 100), part(300, 310));
        assertEquals(new PrefixReuse(0, 100, 0), read(cache, session, text));
        assertEquals(alone(text), session.generate(GREEDY).text());
        assertEquals(100, cache.stats().residentTokens(), "what is used is warm again");
        assertEquals(1, cache.stats().loadBacks());
      }
    }
  }

  @Test
  void sessionsThatNeedASequence_getIt() {
    try (LlamaContext context = model.newContext(options(512, 3));
        PrefixCache cache = context.newPrefixCache(LOOSE)) {
      for (int i = 0; i < 2; i++) {
        try (LlamaSession session = context.newSession()) {
          session.append(part(100 * i, 100 * i + 30));
          cache.store(session);
        }
      }
      assertEquals(2, cache.stats().residentSequences());
      try (LlamaSession a = context.newSession();
          LlamaSession b = context.newSession();
          LlamaSession c = context.newSession()) {
        assertEquals(0, cache.stats().residentSequences());
        assertThrows(IllegalStateException.class, context::newSession);
        assertEquals(29, read(cache, a, part(0, 30)).hostTokens());
        assertEquals(29, read(cache, b, part(100, 130)).hostTokens());
        assertEquals(0, c.size());
      }
    }
  }

  @Test
  void coldTiers_workWithoutAUnifiedCache_andOverThemTheColdestGoesFirst() throws IOException {
    long bytes = 60 * 2048;
    PrefixCacheOptions tiers = LOOSE.withHostBytes(bytes).withDisk(folder, 2 * bytes);
    try (LlamaContext context = model.newContext(options(256, 1).withUnifiedKv(false));
        PrefixCache cache = context.newPrefixCache(tiers);
        LlamaSession session = context.newSession()) {
      for (int i = 0; i < 4; i++) {
        session.clear();
        read(cache, session, part(100 * i, 100 * i + 60));
        cache.store(session);
      }
      PrefixCacheStats stats = cache.stats();
      assertEquals(bytes, stats.hostBytes());
      assertEquals(2 * bytes, stats.diskBytes());
      assertEquals(0, stats.residentTokens());
      assertEquals(1, stats.evictions());
      assertEquals(2, files());
      session.clear();
      assertEquals(0, read(cache, session, part(0, 60)).tokens(), "the oldest is gone");
      session.clear();
      int[] text = join(part(100, 150), part(700, 705));
      assertEquals(new PrefixReuse(0, 0, 50), read(cache, session, text));
      assertEquals(alone(text), session.generate(GREEDY).text());
      session.clear();
      assertEquals(new PrefixReuse(0, 50, 0), cache.open(session, text), "it was warmed");
    }
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(0, files.count());
    }
  }

  private long files() throws IOException {
    return cellFiles().size();
  }

  private List<Path> cellFiles() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files.filter(file -> file.getFileName().toString().endsWith(".cells")).toList();
    }
  }

  @Test
  void aDamagedFile_isAMiss_andIsCounted() throws IOException {
    PrefixCacheOptions disk = HOST_ONLY.withHostBytes(0).withDisk(folder, 1 << 20);
    try (LlamaContext context = model.newContext(options(256, 1));
        PrefixCache cache = context.newPrefixCache(disk);
        LlamaSession session = context.newSession()) {
      session.append(part(0, 60));
      cache.store(session);
      Path file = cellFiles().getFirst();
      byte[] bytes = Files.readAllBytes(file);
      bytes[1000] ^= 1;
      Files.write(file, bytes);
      session.clear();
      assertEquals(0, cache.open(session, part(0, 60)).tokens());
      assertEquals(1, cache.stats().failures());
      assertEquals(0, cache.stats().nodes());
      assertEquals(0, cache.stats().diskBytes());
      session.append(part(0, 60));
      assertEquals(alone(part(0, 60)), session.generate(GREEDY).text());
      cache.store(session);
      Files.delete(cellFiles().getFirst());
      session.clear();
      assertEquals(0, cache.open(session, part(0, 60)).tokens());
      assertEquals(2, cache.stats().failures());
    }
  }

  @Test
  void aFolderThatCannotBeWritten_isCounted_andForgotten() throws IOException {
    Path notAFolder = Files.writeString(folder.resolve("file"), "x");
    PrefixCacheOptions disk = HOST_ONLY.withHostBytes(0).withDisk(notAFolder, 1 << 20);
    try (LlamaContext context = model.newContext(options(256, 1));
        PrefixCache cache = context.newPrefixCache(disk);
        LlamaSession session = context.newSession()) {
      session.append(part(0, 60));
      assertEquals(0, cache.store(session));
      assertEquals(1, cache.stats().failures());
      assertEquals(0, cache.stats().hostBytes());
    }
  }

  /** Models whose memory cannot be divided: only what was stored is found, and only as a whole. */
  @ParameterizedTest
  @EnumSource(
      value = Family.class,
      names = {"MAMBA", "JAMBA", "GEMMA3"})
  void wholeStates_areFoundByTextsThatBeginWithThem(Family family) throws IOException {
    Path path = ReferenceFiles.write(folder, family, family == Family.GEMMA3 ? 6 : 2);
    Path cells = Files.createDirectory(folder.resolve("cells"));
    try (LlamaModel shape = LlamaModel.load(path)) {
      for (PrefixCacheOptions tiers :
          List.of(LOOSE, HOST_ONLY, HOST_ONLY.withHostBytes(0).withDisk(cells, 1L << 30))) {
        try (LlamaContext context = shape.newContext(options(256, 4));
            PrefixCache cache = context.newPrefixCache(tiers);
            LlamaSession first = context.newSession();
            LlamaSession second = context.newSession()) {
          int[] text = new Random(3).ints(90, 3, ReferenceFiles.VOCABULARY).toArray();
          first.append(Arrays.copyOf(text, 40));
          cache.store(first);
          first.append(Arrays.copyOfRange(text, 40, 70));
          cache.store(first);
          first.append(5); // the stored one is not this session's
          assertEquals(70, read(cache, second, text).tokens());
          double[] expected;
          try (LlamaContext other = shape.newContext(options(256, 1));
              LlamaSession solo = other.newSession()) {
            solo.append(Arrays.copyOf(text, 40));
            solo.append(Arrays.copyOfRange(text, 40, 70));
            solo.append(Arrays.copyOfRange(text, 70, 90));
            expected = Differences.copy(solo.logits());
          }
          assertEquals(
              0,
              Differences.max(expected, Differences.copy(second.logits())),
              1e-4,
              tiers::toString);
          second.clear();
          assertEquals(40, cache.open(second, Arrays.copyOf(text, 60)).tokens());
          second.clear();
          assertEquals(0, cache.open(second, Arrays.copyOf(text, 40)).tokens());
        }
      }
    }
    try (Stream<Path> files = Files.list(cells)) {
      assertEquals(0, files.count());
    }
  }

  @Test
  void onlyWhatAPlainReadingLeaves_isRemembered() {
    try (LlamaContext context = model.newContext(options(512, 4));
        PrefixCache cache = context.newPrefixCache(LOOSE);
        LlamaSession session = context.newSession()) {
      session.append(part(0, 100));
      session.discard(40, 50);
      session.append(part(200, 210));
      assertEquals(40, cache.store(session));
      cache.clear();
      session.clear();
      session.append(part(0, 100));
      BitSet keep = new BitSet();
      keep.set(0, 30);
      keep.set(60, 100);
      session.retain(keep);
      session.append(part(300, 310));
      assertEquals(30, cache.store(session));
      cache.clear();
      session.clear();
      session.append(part(0, 100));
      session.truncate(50);
      session.append(part(300, 310));
      assertEquals(60, cache.store(session), "a cut leaves what was read plainly");
      SessionState state = session.save();
      try (LlamaSession other = context.newSession()) {
        other.restore(state);
        cache.clear();
        assertEquals(60, cache.store(other));
        context.clearControlVector();
        assertEquals(0, cache.stats().nodes(), "other adapters make other cells");
        assertEquals(0, cache.store(other));
        other.restore(state);
        assertEquals(0, cache.store(other));
        other.clear();
        other.append(part(0, 20));
        assertEquals(20, cache.store(other));
      }
    }
  }

  @Test
  void aScalingThatChanges_forgetsEverything() {
    FactorTable table = new FactorTable(Collections.nCopies(32, 2.0), 1);
    ContextOptions scaled = options(256, 3).withRopeScaling(table);
    try (LlamaContext context = model.newContext(scaled);
        PrefixCache cache = context.newPrefixCache(LOOSE);
        LlamaSession session = context.newSession()) {
      session.append(part(0, 50));
      cache.store(session);
      context.setFactorTable(new FactorTable(Collections.nCopies(32, 3.0), 1));
      assertEquals(0, cache.stats().nodes());
      assertEquals(0, cache.stats().residentSequences());
      assertEquals(0, used(session));
      session.append(part(50, 60));
      assertEquals(60, cache.store(session), "it was read again");
    }
    ContextOptions growing = options(1024, 1).withRopeScaling(new Dynamic(Dynamic.Family.YARN));
    try (LlamaContext context = model.newContext(growing);
        PrefixCache cache = context.newPrefixCache(LOOSE);
        LlamaSession session = context.newSession()) {
      session.append(part(0, 200));
      assertEquals(200, cache.store(session));
      session.append(part(200, 400));
      assertEquals(0, cache.stats().nodes());
      assertEquals(400, cache.store(session));
      RopeScaling longer = context.ropeScaling();
      session.append(part(400, 405));
      assertEquals(400, cache.stats().hostBytes() / 2048);
      assertEquals(longer, context.ropeScaling());
      session.clear();
      assertNotEquals(longer, context.ropeScaling());
      assertEquals(0, cache.stats().nodes(), "an empty session starts with the short scaling");
      assertEquals(0, cache.open(session, part(0, 300)).tokens());
    }
  }

  /** The very cells of a reading without the cache, but for the rounding of 32-bit sums. */
  @Test
  void randomOverlappingTexts_haveTheCellsOfAReadingWithoutTheCache() {
    int[] words = ReferenceFiles.tokens(4000, 3);
    long bytes = 300 * 4096;
    PrefixCacheOptions tiers =
        LOOSE.withResidentTokens(300).withHostBytes(bytes).withDisk(folder.resolve("cells"), bytes);
    Random random = new Random(4);
    ContextOptions fine =
        options(512, 6)
            .withMicroBatchTokens(16)
            .withKeyType(KvCacheType.F32)
            .withValueType(KvCacheType.F32)
            .withFlashAttention(FlashAttention.OFF); // which rounds to half precision
    try (LlamaModel shape = LlamaModel.load(ReferenceFiles.write(folder, Family.LLAMA, 4));
        LlamaContext context = shape.newContext(fine);
        LlamaContext plainContext = shape.newContext(fine.withMaxSequences(1));
        PrefixCache cache = context.newPrefixCache(tiers);
        LlamaSession plain = plainContext.newSession()) {
      for (int i = 0; i < 60; i++) {
        int[] text = new int[0];
        for (int k = 0; k < 4; k++) {
          int topic = random.nextInt(3);
          int from = 1000 * k + 50 * topic - (k == 0 ? 0 : 100);
          text = join(text, Arrays.copyOfRange(words, from, from + 20 + 5 * topic));
        }
        try (LlamaSession session = context.newSession()) {
          read(cache, session, text);
          plain.clear();
          plain.append(text);
          double difference =
              Differences.max(Differences.copy(plain.logits()), Differences.copy(session.logits()));
          assertTrue(difference < 1e-4, () -> "logits differ by " + difference);
          cache.store(session);
        }
      }
      assertTrue(cache.stats().savedShare() > 0.4, () -> cache.stats().toString());
      assertTrue(cache.stats().spillsToDisk() > 0, () -> cache.stats().toString());
    }
  }

  /** The same words with and without the cache, but where two are almost equally likely. */
  @Test
  void randomOverlappingPrompts_areAnsweredAsWithoutTheCache() {
    Random random = new Random(4);
    int same = 0;
    PrefixCacheOptions tiers =
        LOOSE.withResidentTokens(300).withHostBytes(300 * 2048).withDisk(folder, 300 * 2048);
    try (LlamaContext context = model.newContext(options(512, 6));
        LlamaContext plainContext = model.newContext(options(512, 1));
        PrefixCache cache = context.newPrefixCache(tiers);
        LlamaSession plain = plainContext.newSession()) {
      for (int i = 0; i < 60; i++) {
        int[] text = new int[0];
        for (int k = 0; k < 4; k++) {
          int topic = random.nextInt(3);
          text = join(text, part(1000 * k + 50 * topic, 1000 * k + 50 * topic + 20 + 5 * topic));
        }
        try (LlamaSession session = context.newSession()) {
          read(cache, session, text);
          plain.clear();
          plain.append(text);
          double difference =
              Differences.max(Differences.copy(plain.logits()), Differences.copy(session.logits()));
          assertTrue(difference < 0.05, () -> "logits differ by " + difference);
          same += plain.generate(GREEDY).text().equals(session.generate(GREEDY).text()) ? 1 : 0;
          cache.store(session);
        }
      }
      assertTrue(same >= 57, same + " of 60 answers are the same");
      PrefixCacheStats stats = cache.stats();
      assertTrue(stats.hitRate() > 0.9 && stats.savedShare() > 0.4, stats::toString);
      assertTrue(stats.spillsToDisk() > 0 && stats.loadBacks() > 0, stats::toString);
      assertTrue(stats.evictions() > 0 && stats.failures() == 0, stats::toString);
    }
  }

  @Test
  void misuse_isRefused() {
    LlamaContext context = model.newContext(options(256, 3));
    try (LlamaContext other = model.newContext(options(256, 1));
        LlamaSession stranger = other.newSession()) {
      PrefixCache cache = context.newPrefixCache(LOOSE);
      assertThrows(IllegalStateException.class, () -> context.newPrefixCache(LOOSE));
      LlamaSession session = context.newSession();
      session.append(part(0, 20));
      assertThrows(IllegalStateException.class, () -> cache.open(session, 1, 2, 3));
      assertThrows(IllegalArgumentException.class, () -> cache.open(stranger, 1, 2, 3));
      assertEquals(20, cache.store(session));
      cache.close();
      cache.close();
      assertEquals(20, session.size());
      assertEquals(20, used(session));
      assertThrows(AlreadyClosedException.class, () -> cache.store(session));
      PrefixCache next = context.newPrefixCache(LOOSE);
      assertSame(LOOSE, next.options());
      assertThrows(IllegalArgumentException.class, () -> LOOSE.withHostBytes(-1));
      context.close();
      assertThrows(AlreadyClosedException.class, () -> next.store(session));
      next.close();
    }
  }
}
