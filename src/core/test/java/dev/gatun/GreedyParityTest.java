package dev.gatun;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.gguf.SyntheticModel;
import dev.gatun.sampling.Sampler;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Greedy output equals that of {@code llama-completion} of the same tree, byte for byte. */
class GreedyParityTest {
  private static final int PROMPTS = 20;
  private static final int TOKENS = 200;

  /**
   * The tool prints through a thread of its own and now and then loses the end of its output, so it
   * is asked for some more than is compared.
   */
  private static final int SPARE_TOKENS = 24;

  @TempDir Path folder;

  @Test
  void tinyModel_20prompts_200tokens() throws IOException {
    comparePrompts(TestModels.tiny());
  }

  @Test
  void randomWeightsOfAnotherArchitecture_20prompts_200tokens() throws IOException {
    Path other = folder.resolve("other.gguf");
    SyntheticModel.write(SyntheticModel.Shape.named("qwen2-tiny"), TestModels.tiny(), other, 42);
    comparePrompts(other);
  }

  private void comparePrompts(Path file) throws IOException {
    Path peer = PeerTools.tool("llama-completion");
    int identical = 0;
    int generated = 0;
    try (LlamaModel model = LlamaModel.load(file);
        LlamaContext context =
            model.newContext(
                ContextOptions.defaults()
                    .withContextTokens(512)
                    .withThreads(1)
                    .withBatchThreads(1))) {
      for (String prompt : prompts()) {
        byte[] expected = continuation(peer, file, prompt);
        byte[] actual;
        try (LlamaSession session = context.newSession()) {
          actual = continuation(model, session, prompt);
          generated += session.position();
        }
        assertTrue(expected.length > actual.length, "the tool printed too little");
        assertArrayEquals(
            Arrays.copyOf(expected, actual.length),
            actual,
            () ->
                "prompt: "
                    + prompt
                    + "\nexpected: "
                    + new String(expected, StandardCharsets.UTF_8)
                    + "\nactual: "
                    + new String(actual, StandardCharsets.UTF_8));
        identical++;
      }
    }
    assertEquals(PROMPTS, identical);
    assertTrue(generated > PROMPTS * 20, "almost nothing was generated");
  }

  private static byte[] continuation(LlamaModel model, LlamaSession session, String prompt) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    GenerationOptions options =
        GenerationOptions.defaults()
            .withSampler(Sampler.greedy())
            .withMaxTokens(TOKENS)
            .withIgnoreEndOfGeneration(true);
    for (Piece piece : session.generate(prompt, options)) {
      bytes.writeBytes(
          model.tokenizer().isControl(piece.token())
              ? new byte[0]
              : model.tokenizer().piece(piece.token()));
    }
    return bytes.toByteArray();
  }

  private byte[] continuation(Path peer, Path model, String prompt) throws IOException {
    Path file = folder.resolve("prompt.txt");
    Files.writeString(file, prompt);
    List<String> arguments =
        new ArrayList<>(List.of("-m", model.toString(), "-f", file.toString()));
    arguments.addAll(
        List.of(
            "-n", "" + (TOKENS + SPARE_TOKENS), "-c", "512", "-t", "1", "-tb", "1", "--temp", "0"));
    arguments.addAll(
        List.of("-no-cnv", "--no-display-prompt", "--ignore-eos", "--no-escape", "--simple-io"));
    return PeerTools.run(peer, arguments);
  }

  private static List<String> prompts() throws IOException {
    String prose = Files.readString(TestModels.heldout());
    List<String> prompts = new ArrayList<>();
    for (int i = 0; i < PROMPTS; i++) {
      int start = prose.indexOf(' ', 10_000 * i) + 1;
      prompts.add(prose.substring(start, prose.indexOf(' ', start + 60 + 20 * i)));
    }
    return prompts;
  }
}
