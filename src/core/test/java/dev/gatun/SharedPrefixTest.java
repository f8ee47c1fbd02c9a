package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.internal.NativeCells;
import dev.gatun.rope.RopeScaling;
import dev.gatun.sampling.Sampler;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Many sessions over one long beginning. The bench program SharedPrefix has the full length. */
class SharedPrefixTest {
  private static final int FORKS = 32;
  private static final int PREFIX = 500;
  private static final GenerationOptions GREEDY =
      GenerationOptions.defaults().withSampler(Sampler.greedy()).withMaxTokens(6);
  private static LlamaModel model;
  private static int[] prose;

  @BeforeAll
  static void load() throws IOException {
    model = LlamaModel.load(TestModels.tiny());
    prose = model.tokenizer().encode(Files.readString(TestModels.heldout()).substring(0, 20_000));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static ContextOptions options(int sequences) {
    return ContextOptions.defaults()
        .withContextTokens(2048)
        .withMaxSequences(sequences)
        .withUnifiedKv(true)
        .withThreads(1)
        .withBatchThreads(1)
        .withRopeScaling(RopeScaling.rerope());
  }

  private static int[] prefix() {
    return Arrays.copyOf(prose, PREFIX);
  }

  private static int[] own(int index) {
    return Arrays.copyOfRange(prose, 1000 + 10 * index, 1008 + 10 * index);
  }

  private static NativeCells.Usage usage(LlamaSession session) {
    session.enter();
    try {
      return NativeCells.usage(session.nativeContext(), session.cells().sequence());
    } finally {
      session.exit();
    }
  }

  private static long contextBytes(LlamaContext context) {
    return context.memory().stream().mapToLong(MemoryUse::contextBytes).sum();
  }

  private static List<String> solo() {
    List<String> texts = new ArrayList<>();
    try (LlamaContext context = model.newContext(options(1));
        LlamaSession session = context.newSession()) {
      session.append(prefix());
      for (int i = 0; i < FORKS; i++) {
        session.append(own(i));
        texts.add(session.generate(GREEDY).text());
        session.truncate(PREFIX);
      }
    }
    return texts;
  }

  @Test
  void forks_takeNoCellOfTheirOwn_andSayWhatASoloRunSays() {
    try (LlamaContext context = model.newContext(options(FORKS + 1));
        LlamaContext single = model.newContext(options(1));
        LlamaSession root = context.newSession()) {
      assertEquals(contextBytes(single), contextBytes(context), "sequences cost no cells");
      root.append(prefix());
      List<LlamaSession> forks = new ArrayList<>();
      for (int i = 0; i < FORKS; i++) {
        forks.add(root.fork());
      }
      assertEquals(PREFIX, usage(root).used());
      assertEquals(PREFIX, usage(root).shared());
      List<String> texts = new ArrayList<>();
      for (int i = 0; i < FORKS; i++) {
        forks.get(i).append(own(i));
        texts.add(forks.get(i).generate(GREEDY).text());
      }
      assertEquals(solo(), texts);
      int held = forks.stream().mapToInt(LlamaSession::size).sum() - FORKS * PREFIX;
      assertTrue(usage(root).used() <= PREFIX + held, "one beginning and each one's own");
    }
  }

  @Test
  void preemptedForks_comeBackAsTheyWere_andTheOthersDoNotMind() {
    List<String> expected = solo().subList(0, 4);
    try (LlamaContext context = model.newContext(options(6));
        LlamaSession root = context.newSession()) {
      root.append(prefix());
      List<LlamaSession> forks = new ArrayList<>();
      List<SessionState> states = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        forks.add(root.fork());
        forks.get(i).append(own(i));
      }
      assertEquals(PREFIX + 4 * 8, usage(root).used());
      for (int i : new int[] {2, 0}) {
        states.add(forks.get(i).save());
        forks.get(i).clear();
      }
      assertEquals(PREFIX + 2 * 8, usage(root).used());
      forks.get(2).restore(states.get(0)); // with cells of its own: 500 more
      assertEquals(2 * PREFIX + 3 * 8, usage(root).used());
      assertArrayEquals(prefix(), Arrays.copyOf(forks.get(2).tokens(), PREFIX));
      assertEquals(expected.get(2), forks.get(2).generate(GREEDY).text());
      forks.get(2).close();
      assertEquals(expected.get(1), forks.get(1).generate(GREEDY).text());
      assertEquals(expected.get(3), forks.get(3).generate(GREEDY).text());
      forks.get(0).restore(states.get(1));
      assertEquals(expected.get(0), forks.get(0).generate(GREEDY).text());
      assertEquals(PREFIX, root.size());
    }
  }
}
