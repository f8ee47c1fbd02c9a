package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.error.GgufFormatException;
import dev.gatun.error.LlamaException;
import dev.gatun.gguf.GgmlType;
import dev.gatun.gguf.GgufMutator;
import dev.gatun.gguf.SyntheticModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Damaged model files through the public interface, in this JVM: each is refused with a typed error
 * or works. A native crash would end the test run; the file that did it is then still in the
 * temporary folder, named for its seed.
 */
class CorruptModelTest {
  private static final int FILES = 2000;
  private static final ContextOptions CONTEXT =
      ContextOptions.defaults()
          .withContextTokens(64)
          .withBatchTokens(64)
          .withMicroBatchTokens(64)
          .withThreads(1)
          .withBatchThreads(1);
  private static final GenerationOptions ONE_TOKEN = GenerationOptions.defaults().withMaxTokens(1);

  @TempDir Path folder;

  private List<GgufMutator> mutators() {
    List<GgufMutator> mutators = new ArrayList<>();
    mutators.add(new GgufMutator(TestModels.tiny()));
    for (SyntheticModel.Family family : SyntheticModel.Family.values()) {
      boolean attention = family.hasAttention();
      SyntheticModel.Shape shape =
          new SyntheticModel.Shape(
              "small",
              family,
              2,
              64,
              attention ? 4 : 0,
              attention ? 2 : 0,
              attention ? 64 : 0,
              2048,
              256,
              family != SyntheticModel.Family.LLAMA,
              GgmlType.F16,
              GgmlType.Q8_0);
      Path file = folder.resolve(family + ".gguf");
      SyntheticModel.write(shape, TestModels.tiny(), file, 1);
      generateOneToken(file);
      mutators.add(new GgufMutator(file));
    }
    return mutators;
  }

  @Test
  void mutatedFiles_typedErrorOrCorrectLoad_never_aCrash() throws IOException {
    List<GgufMutator> mutators = mutators();
    int worked = 0;
    int refusedInJava = 0;
    int refusedByNativeCode = 0;
    for (int seed = 0; seed < FILES; seed++) {
      GgufMutator.Mutation mutation = mutators.get(seed % mutators.size()).mutate(seed);
      Path file = folder.resolve("mutant-" + seed + ".gguf");
      Files.write(file, mutation.bytes());
      try {
        generateOneToken(file);
        worked++;
      } catch (GgufFormatException e) {
        assertMessage(mutation, e);
        refusedInJava++;
      } catch (LlamaException e) {
        assertMessage(mutation, e);
        refusedByNativeCode++;
      } catch (RuntimeException | Error e) {
        throw new AssertionError("seed " + seed + ", " + mutation.description(), e);
      }
      Files.delete(file);
    }
    // The damage must be of all strengths, else this test shows little.
    String summary =
        worked + " worked, " + refusedInJava + " and " + refusedByNativeCode + " were refused";
    assertTrue(worked > FILES / 20, summary);
    assertTrue(refusedInJava > FILES / 10, summary);
    assertTrue(refusedByNativeCode > FILES / 20, summary);
  }

  private static void assertMessage(GgufMutator.Mutation mutation, LlamaException e) {
    assertFalse(
        e.getMessage() == null || e.getMessage().isBlank(),
        () -> "no message for " + mutation.description());
  }

  private static void generateOneToken(Path file) {
    try (LlamaModel model = LlamaModel.load(file);
        LlamaContext context = model.newContext(CONTEXT);
        LlamaSession session = context.newSession()) {
      try (Generation generation = session.generate("The pass key of Mira", ONE_TOKEN)) {
        generation.text();
      }
      assertTrue(session.position() > 0);
    }
  }
}
