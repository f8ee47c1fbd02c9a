package dev.gatun;

import static dev.gatun.Differences.assertNear;
import static dev.gatun.Differences.evaluate;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.error.CallbackException;
import dev.gatun.error.KvCacheFullException;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.error.UnsupportedOperationForModelException;
import dev.gatun.gguf.SyntheticModel;
import dev.gatun.kv.EvictionOptions;
import dev.gatun.kv.EvictionPolicy;
import dev.gatun.kv.KvCacheType;
import dev.gatun.kv.OverflowEvent;
import dev.gatun.kv.OverflowPolicy;
import dev.gatun.kv.TokenRange;
import dev.gatun.rope.ReRope;
import dev.gatun.rope.RopeBasis;
import dev.gatun.rope.RopeScaling;
import dev.gatun.rope.Rotation;
import dev.gatun.rope.StaticScaling;
import dev.gatun.rope.TwoBand;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What a session does when its cells run out, against {@link ReferenceModel} where it moves keys.
 */
class OverflowTest {
  private static final int BUDGET = 48;
  private static final int[] TOKENS = ReferenceFiles.tokens(400, 9);

  @TempDir static Path folder;
  private static LlamaModel model;
  private static ReferenceModel reference;

  @BeforeAll
  static void load() {
    Path path = ReferenceFiles.write(folder, SyntheticModel.Family.LLAMA, 1);
    model = LlamaModel.load(path);
    reference = new ReferenceModel(path);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static ContextOptions options() {
    return ContextOptions.defaults()
        .withContextTokens(256)
        .withFlashAttention(FlashAttention.OFF) // which rounds to half precision
        .withThreads(1)
        .withBatchThreads(1)
        .withKeyType(KvCacheType.F32)
        .withValueType(KvCacheType.F32);
  }

  private static SessionOptions budget(OverflowPolicy policy) {
    return SessionOptions.defaults().withOverflow(policy).withBudgetTokens(BUDGET);
  }

  private static int[] part(int from, int to) {
    return Arrays.copyOfRange(TOKENS, from, to);
  }

  static Stream<RopeScaling> scalings() {
    return Stream.of(
        RopeScaling.none(), RopeScaling.yarn(4), new ReRope(16, false), RopeScaling.ntkAware(4));
  }

  private static ReferenceModel.Positions positions(RopeScaling scaling) {
    RopeBasis basis = new RopeBasis(64, 195, ReferenceFiles.TRAINED);
    return switch (scaling) {
      case StaticScaling table -> ReferenceModel.Positions.of(table.rotation(basis));
      case TwoBand bands -> ReferenceModel.Positions.of(bands, basis);
      default -> ReferenceModel.Positions.of(Rotation.unscaled(basis));
    };
  }

  @Test
  void fail_isTheDefault_andChangesNothing() {
    try (LlamaContext context = model.newContext(options());
        LlamaSession session =
            context.newSession(SessionOptions.defaults().withBudgetTokens(BUDGET))) {
      session.append(part(0, 40));
      KvCacheFullException thrown =
          assertThrows(KvCacheFullException.class, () -> session.append(part(40, 49)));
      assertTrue(thrown.getMessage().contains("40 of 48"), thrown.getMessage());
      assertEquals(40, session.size());
      assertEquals(0, session.droppedTokens());
      session.append(part(40, 48));
      assertEquals(0, session.remaining());
    }
  }

  /** Relative distances are the same as when the window moves back, so the reference moves it. */
  @ParameterizedTest
  @MethodSource("scalings")
  void streaming_hasTheLogitsOfSinksAndWindow(RopeScaling scaling) {
    OverflowPolicy policy = new OverflowPolicy.Streaming(4, 8, 120);
    ReferenceModel.Text text = reference.text(positions(scaling));
    List<OverflowEvent> events = new ArrayList<>();
    try (LlamaContext context =
            model.newContext(
                options()
                    .withRopeScaling(scaling)
                    .withFlashAttention(
                        scaling instanceof TwoBand ? FlashAttention.ON : FlashAttention.OFF));
        LlamaSession session =
            context.newSession(budget(policy).withOverflowListener(events::add))) {
      List<double[]> expected = new ArrayList<>();
      int held = 0;
      for (int i = 0; i < 300; i++) {
        if (held == BUDGET) {
          text.discard(4, 12);
          held -= 8;
        }
        expected.add(text.append(TOKENS[i])[0]);
        held++;
      }
      List<double[]> actual = new ArrayList<>();
      for (int at : new int[] {0, 7, 40, 47, 48, 49, 120, 121, 299}) {
        // pieces of every kind: shorter and longer than what is dropped
        int to = Math.min(300, at + 1);
        int from = actual.size();
        actual.addAll(Arrays.asList(evaluate(session, part(from, to))));
      }
      assertNear(
          scaling.toString(),
          expected.toArray(double[][]::new),
          actual.toArray(double[][]::new),
          1e-4);
      assertEquals(held, session.size());
      assertEquals(300 - held, session.droppedTokens());
      assertEquals(300 - held, events.stream().mapToInt(e -> e.tokens().length).sum());
      assertArrayEquals(part(0, 4), Arrays.copyOf(session.tokens(), 4));
      assertArrayEquals(part(300 - held + 4, 300), Arrays.copyOfRange(session.tokens(), 4, held));
      int[] at = session.positions();
      assertArrayEquals(
          IntStream.range(at[0], at[0] + held).toArray(), at, "no gap between sinks and window");
      assertTrue(at[0] < 120 && at[held - 1] < 120 + 2 * BUDGET, "re-based");
    }
  }

  /** The turn of the keys once stopped with the call, with positions moved and keys not. */
  @Test
  void cancelledCall_stillTurnsTheKeysThatItMoved() {
    try (LlamaContext context = model.newContext(options());
        LlamaSession session = context.newSession(budget(new OverflowPolicy.Streaming(4, 8, 20)))) {
      session.append(part(0, BUDGET));
      Cancellation cancellation = Cancellation.create();
      cancellation.cancel();
      assertThrows(
          OperationCancelledException.class,
          () -> session.append(part(BUDGET, 100), cancellation, (done, total) -> {}));
      assertEquals(BUDGET - 8, session.size());
      ReferenceModel.Text text = reference.text(positions(RopeScaling.none()));
      text.append(part(0, BUDGET));
      text.discard(4, 12);
      assertNear(
          "after the cancelled call",
          text.append(part(BUDGET, BUDGET + 8)),
          evaluate(session, part(BUDGET, BUDGET + 8)),
          1e-4);
    }
  }

  @Test
  void streaming_tellsWhatWasDropped() {
    List<OverflowEvent> events = new ArrayList<>();
    try (LlamaContext context = model.newContext(options());
        LlamaSession session =
            context.newSession(
                budget(new OverflowPolicy.Streaming(2, 10, 1000))
                    .withOverflowListener(events::add))) {
      session.append(part(0, BUDGET + 1));
      assertEquals(1, events.size());
      assertEquals(List.of(new TokenRange(2, 12)), events.getFirst().dropped());
      assertArrayEquals(part(2, 12), events.getFirst().tokens());
      assertEquals(BUDGET - 10, events.getFirst().heldTokens());
    }
  }

  @Test
  void shift_keepsTheFirstTokens_andDropsHalfOfTheRest() {
    ReferenceModel.Text text = reference.text(positions(RopeScaling.none()));
    try (LlamaContext context = model.newContext(options());
        LlamaSession session = context.newSession(budget(OverflowPolicy.shift(6)))) {
      double[][] actual = evaluate(session, part(0, 100));
      double[][] expected = new double[100][];
      int held = 0;
      for (int i = 0; i < 100; i++) {
        if (held == BUDGET) {
          text.discard(6, 6 + (BUDGET - 6) / 2);
          held -= (BUDGET - 6) / 2;
        }
        expected[i] = text.append(TOKENS[i])[0];
        held++;
      }
      assertNear("shift", expected, actual, 1e-4);
      assertEquals(held, session.position());
    }
  }

  @Test
  void summarise_putsTheSummaryInTheMiddle_andReadsTheRestAgain() {
    List<OverflowEvent> events = new ArrayList<>();
    int[] summary = part(390, 393);
    OverflowPolicy policy = OverflowPolicy.summarise(5, 9, dropped -> summary);
    try (LlamaContext context = model.newContext(options());
        LlamaSession session =
            context.newSession(budget(policy).withOverflowListener(events::add));
        LlamaContext other = model.newContext(options());
        LlamaSession fresh = other.newSession()) {
      session.append(part(0, BUDGET));
      session.append(part(BUDGET, BUDGET + 3));
      int[] all =
          IntStream.of(
                  IntStream.concat(
                          IntStream.of(part(0, 5)),
                          IntStream.concat(
                              IntStream.of(summary), IntStream.of(part(BUDGET - 9, BUDGET + 3))))
                      .toArray())
              .toArray();
      assertArrayEquals(all, session.tokens());
      assertArrayEquals(part(5, BUDGET - 9), events.getFirst().tokens());
      assertArrayEquals(summary, events.getFirst().inserted());
      fresh.append(all);
      assertNear(
          "summarised",
          new double[][] {Differences.copy(fresh.logits())},
          new double[][] {Differences.copy(session.logits())},
          1e-5);
    }
  }

  @Test
  void summariser_thatThrowsOrWritesTooMuch_changesNothing() {
    try (LlamaContext context = model.newContext(options().withMaxSequences(2))) {
      OverflowPolicy throwing =
          OverflowPolicy.summarise(
              1,
              1,
              dropped -> {
                throw new IllegalStateException("no");
              });
      for (OverflowPolicy policy :
          List.of(throwing, OverflowPolicy.summarise(1, 1, dropped -> dropped))) {
        try (LlamaSession session = context.newSession(budget(policy))) {
          session.append(part(0, BUDGET));
          RuntimeException thrown =
              assertThrows(RuntimeException.class, () -> session.append(TOKENS[BUDGET]));
          assertEquals(
              policy == throwing ? CallbackException.class : KvCacheFullException.class,
              thrown.getClass());
          assertArrayEquals(part(0, BUDGET), session.tokens());
          session.logits();
        }
      }
    }
  }

  @Test
  void cancelledSummary_dropsNothing_andTheNextCallReadsOn() {
    Cancellation cancellation = Cancellation.create();
    List<OverflowEvent> events = new ArrayList<>();
    OverflowPolicy policy =
        OverflowPolicy.summarise(
            5,
            9,
            dropped -> {
              cancellation.cancel();
              return new int[] {7, 8, 9};
            });
    try (LlamaContext context = model.newContext(options().withMaxSequences(2));
        LlamaSession session =
            context.newSession(budget(policy).withOverflowListener(events::add));
        LlamaSession fresh = context.newSession()) {
      session.append(part(0, BUDGET));
      assertThrows(
          OperationCancelledException.class,
          () -> session.append(part(BUDGET, BUDGET + 1), cancellation, (done, total) -> {}));
      assertArrayEquals(part(0, BUDGET), session.tokens());
      assertEquals(List.of(), events);
      fresh.append(part(0, BUDGET));
      double[] expected = Differences.copy(fresh.logits());
      assertNear(
          "as it was",
          new double[][] {expected},
          new double[][] {Differences.copy(session.logits())},
          1e-5);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"h2o", "snapkv", "tova", "keynorm", "random:3"})
  void evict_keepsWhatIsPinned_andTellsWhatWent(String name) {
    List<OverflowEvent> events = new ArrayList<>();
    EvictionOptions keep = EvictionOptions.share(0.5).withSinks(2).withRecent(6).withPinned(10, 14);
    OverflowPolicy policy = new OverflowPolicy.Evict(EvictionPolicy.parse(name), keep);
    try (LlamaContext context =
            model.newContext(options().withFlashAttention(FlashAttention.AUTO));
        LlamaSession session =
            context.newSession(budget(policy).withOverflowListener(events::add))) {
      session.append(part(0, 100));
      session.append(part(100, 131));
      assertTrue(session.size() <= BUDGET && events.size() > 2, () -> "" + events.size());
      assertEquals(131, session.position(), "what stays keeps its position");
      assertEquals(131 - session.size(), session.droppedTokens());
      int[] tokens = session.tokens();
      int[] positions = session.positions();
      for (int i = 0; i < tokens.length; i++) {
        assertEquals(TOKENS[positions[i]], tokens[i]);
      }
      List<Integer> held = IntStream.of(positions).boxed().toList();
      assertTrue(held.containsAll(List.of(0, 1, 10, 11, 12, 13, 128, 129, 130)), held::toString);
      assertEquals(session.droppedTokens(), events.stream().mapToInt(e -> e.tokens().length).sum());
    }
  }

  @Test
  void generation_goesOnBeyondTheBudget() {
    try (LlamaModel tiny = LlamaModel.load(TestModels.tiny());
        LlamaContext context =
            tiny.newContext(ContextOptions.defaults().withContextTokens(256).withThreads(1));
        LlamaSession session =
            context.newSession(
                SessionOptions.defaults()
                    .withOverflow(OverflowPolicy.streaming())
                    .withBudgetTokens(64));
        Generation generation =
            session.generate(
                "It was",
                GenerationOptions.defaults().withMaxTokens(300).withIgnoreEndOfGeneration(true))) {
      generation.text();
      assertEquals(StopReason.TOKEN_BUDGET, generation.stopReason().orElseThrow());
      assertEquals(300, generation.usage().completionTokens());
      assertTrue(session.droppedTokens() >= 300 - 64, "dropped " + session.droppedTokens());
      assertEquals(session.droppedTokens(), generation.usage().droppedTokens());
    }
  }

  @Test
  void policies_thatCannotWorkHere_areRefused() {
    OverflowPolicy streaming = OverflowPolicy.streaming();
    try (LlamaContext context =
        model.newContext(options().withRopeScaling(RopeScaling.dynamic()))) {
      assertThrows(
          UnsupportedOperationForModelException.class, () -> context.newSession(budget(streaming)));
      context.newSession().close(); // the sequence was not lost
    }
    try (LlamaContext context = model.newContext(options().withKeyType(KvCacheType.BF16))) {
      assertThrows(
          UnsupportedOperationForModelException.class,
          () -> context.newSession(budget(OverflowPolicy.shift(1))));
    }
    try (LlamaContext context = model.newContext(options())) {
      assertThrows(
          IllegalArgumentException.class,
          () -> context.newSession(budget(OverflowPolicy.shift(BUDGET - 1))));
      for (OverflowPolicy policy :
          List.of(
              OverflowPolicy.shift(Integer.MAX_VALUE),
              OverflowPolicy.summarise(1 << 30, 1 << 30, dropped -> new int[0]))) {
        assertThrows(
            IllegalArgumentException.class, () -> context.newSession(budget(policy)).close());
      }
    }
  }
}
