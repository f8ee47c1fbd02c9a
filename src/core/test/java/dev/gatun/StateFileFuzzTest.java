package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.error.LlamaException;
import dev.gatun.gguf.SyntheticModel;
import dev.gatun.kv.CheckpointOptions;
import dev.gatun.kv.KvCacheType;
import dev.gatun.kv.StateContent;
import dev.gatun.kv.StateFile;
import dev.gatun.sampling.Sampler;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Damaged and forged state files: a typed error each time, or a restore of the same content; the
 * process lives. {@code -Dgatun.state.mutants} and {@code -Dgatun.state.seed} make it another run.
 */
class StateFileFuzzTest {
  private static final int MUTANTS = Integer.getInteger("gatun.state.mutants", 2000);
  private static final long SEED = Long.getLong("gatun.state.seed", 20_261_124L);
  private static final GenerationOptions ANSWER =
      GenerationOptions.defaults().withSampler(Sampler.greedy()).withMaxTokens(2);

  @TempDir Path folder;

  /** A model, a context of it and a file that was saved there. */
  private record Base(
      String name, LlamaModel model, LlamaContext context, LlamaSession session, byte[] file) {}

  @Test
  void damagedAndForgedFiles_giveATypedErrorOrTheSameContent() throws IOException {
    List<Base> bases = new ArrayList<>();
    try {
      bases.add(base("qwen2-tiny", options()));
      bases.add(base("gemma3-tiny", options()));
      bases.add(base("mamba-tiny", options()));
      bases.add(base("jamba-tiny", options()));
      bases.add(base("qwen2-tiny", options().withFlashAttention(FlashAttention.OFF)));
      bases.add(
          base(
              "gemma3-tiny",
              options().withMaxSequences(2).withUnifiedKv(false).withKeyType(KvCacheType.Q8_0)));
      Map<String, Integer> outcomes = new TreeMap<>();
      for (int i = 0; i < MUTANTS; i++) {
        Random random = new Random(SEED * 1_000_003 + i);
        Base base = bases.get(random.nextInt(bases.size()));
        byte[] other = bases.get(random.nextInt(bases.size())).file();
        StateMutator.Mutant mutant = new StateMutator(random).mutate(base.file(), other);
        Path path = folder.resolve("mutant-" + i + ".gkv");
        Files.write(path, mutant.bytes());
        String outcome;
        try {
          outcome = use(base, path, mutant);
        } catch (RuntimeException | AssertionError e) {
          throw new AssertionError(
              "mutant %d of seed %d (%s of %s)".formatted(i, SEED, mutant.what(), base.name()), e);
        }
        outcomes.merge((mutant.forged() ? "forged, " : "damaged, ") + outcome, 1, Integer::sum);
        Files.delete(path);
      }
      if (Boolean.getBoolean("gatun.differences")) {
        System.out.println("@@ " + outcomes);
      }
      assertTrue(outcomes.getOrDefault("forged, refused", 0) > MUTANTS / 5, outcomes::toString);
      assertTrue(outcomes.getOrDefault("damaged, refused", 0) > MUTANTS / 10, outcomes::toString);
      for (Base base : bases) {
        intact(base);
      }
    } finally {
      for (Base base : bases) {
        base.context().close();
        base.model().close();
      }
    }
  }

  private static ContextOptions options() {
    return ContextOptions.defaults()
        .withContextTokens(512)
        .withMicroBatchTokens(64)
        .withThreads(1)
        .withBatchThreads(1);
  }

  private Base base(String shape, ContextOptions options) throws IOException {
    Path gguf = folder.resolve(shape + ".gguf");
    SyntheticModel.write(SyntheticModel.Shape.named(shape), TestModels.tiny(), gguf, 1);
    LlamaModel model = LlamaModel.load(gguf);
    LlamaContext context = model.newContext(options);
    LlamaSession session =
        context.newSession(
            SessionOptions.defaults()
                .withCheckpoints(CheckpointOptions.defaults().withEveryTokens(50)));
    session.append(new Random(3).ints(170, 300, 2000).toArray());
    Path path = folder.resolve("base.gkv");
    session.save().write(path, "a label");
    return new Base(shape, model, context, session, Files.readAllBytes(path));
  }

  private static String use(Base base, Path path, StateMutator.Mutant mutant) throws IOException {
    LlamaSession session = base.session();
    try {
      session.restore(SessionState.read(path));
    } catch (LlamaException e) {
      assertTrue(e.getMessage().length() > 20, e::getMessage);
      return "refused";
    }
    if (!mutant.forged()) {
      // Only what the checksums leave out, padding, can be different.
      Path whole = path.resolveSibling("whole.gkv");
      Files.write(whole, base.file());
      StateContent expected = StateFile.open(whole).content();
      StateContent actual = StateFile.open(path).content();
      assertArrayEquals(expected.tokens(), session.tokens());
      assertArrayEquals(expected.positions(), session.positions());
      assertEquals(-1, expected.cells().mismatch(actual.cells()));
      assertEquals(expected.checkpoints().size(), session.checkpoints().size());
      for (int i = 0; i < expected.checkpoints().size(); i++) {
        assertEquals(
            -1,
            expected.checkpoints().get(i).cells().mismatch(actual.checkpoints().get(i).cells()));
      }
      Files.delete(whole);
      return "restored";
    }
    try {
      session.generate(new int[] {500}, ANSWER).text();
      session.truncate(session.size() / 2);
      session.generate(new int[] {501}, ANSWER).text();
      return "used";
    } catch (LlamaException | IllegalStateException e) {
      session.clear();
      return "used until " + e.getClass().getSimpleName();
    }
  }

  /** After everything, the file as it was saved still gives what it gave at first. */
  private void intact(Base base) throws IOException {
    Path path = folder.resolve("intact-" + System.identityHashCode(base) + ".gkv");
    Files.write(path, base.file());
    base.session().restore(SessionState.read(path));
    base.session().append(600);
    float[] used = base.session().logits().toArray(ValueLayout.JAVA_FLOAT);
    try (LlamaContext context = base.model().newContext(base.context().options());
        LlamaSession session = context.newSession()) {
      session.restore(SessionState.read(path));
      session.append(600);
      assertArrayEquals(session.logits().toArray(ValueLayout.JAVA_FLOAT), used);
    }
  }
}
