package dev.gatun.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.Cancellation;
import dev.gatun.ContextOptions;
import dev.gatun.LlamaModel;
import dev.gatun.TestModels;
import dev.gatun.Tokenizer;
import dev.gatun.error.OperationCancelledException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class RecallTest {
  private static LlamaModel model;
  private static String prose;

  @BeforeAll
  static void load() throws Exception {
    model = LlamaModel.load(TestModels.tiny());
    prose = Files.readString(TestModels.heldout());
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static EvalConfiguration configuration(String scaling) {
    return new EvalConfiguration(
        model,
        ContextOptions.defaults().withThreads(1).withBatchThreads(1),
        ContextScaling.parse(scaling));
  }

  private static RecallResult measure(String scaling, int length, RecallOptions options) {
    return Recall.of(configuration(scaling), prose, length, options).run().recall().orElseThrow();
  }

  private static List<String> prompts(int length, RecallOptions options) {
    Tokenizer tokenizer = model.tokenizer();
    QuestionFormat.Frame frame = options.format().frame(model);
    Haystack haystack = new Haystack(prose, text -> tokenizer.encode(text, true, true).length);
    Recall recall = Recall.of(configuration("none"), prose, length, options);
    List<String> prompts = new ArrayList<>();
    for (int i = 0; i < options.trials(); i++) {
      Recall.Trial trial = recall.trial(haystack, frame, i);
      trial.asked().forEach(fact -> prompts.add(trial.prompt(frame, fact)));
    }
    return prompts;
  }

  @Test
  void passkey_isFoundAtTheTrainedLength() {
    RecallResult result = measure("none", 256, RecallOptions.passkey().withTrials(40));
    assertEquals(40, result.asked());
    assertTrue(result.correct() >= 38, result.toString());
  }

  @Test
  void passkey_isLostUnscaledAtFourTimesTheLength_andFoundWithYarn() {
    RecallOptions options = RecallOptions.passkey().withTrials(10);
    RecallResult unscaled = measure("none", 1024, options);
    RecallResult yarn = measure("yarn", 1024, options);
    assertTrue(unscaled.correct() <= 2, unscaled.toString());
    assertTrue(yarn.correct() >= 8, yarn.toString());
  }

  @Test
  void prompts_fillTheContextExactly_andLookLikeTheTraining() {
    for (int length : new int[] {100, 256, 777, 2048}) {
      RecallOptions options = RecallOptions.passkey().withTrials(4).withAnswerTokens(20);
      for (String prompt : prompts(length, options)) {
        assertEquals(length - 20, model.tokenizer().encode(prompt, true, true).length);
        assertTrue(
            prompt.startsWith("<|user|>\n") && prompt.endsWith("?<|end|>\n<|assistant|>\n"),
            prompt);
        assertTrue(
            prompt.matches(
                "(?s).*The pass key of ([A-Z][a-z]+) is [0-9]{5}\\. Remember it\\..*"
                    + "\nWhat is the pass key of \\1\\?.*"),
            prompt);
      }
    }
  }

  @Test
  void sameSeed_samePrompts_anotherSeed_others() {
    RecallOptions options = RecallOptions.passkey().withTrials(3).withSeed(9);
    List<String> prompts = prompts(256, options);
    assertEquals(3, prompts.stream().distinct().count());
    assertEquals(prompts, prompts(256, options));
    assertEquals(prompts.getFirst(), prompts(256, options.withTrials(1)).getFirst());
    assertTrue(!prompts.equals(prompts(256, options.withSeed(10))));
  }

  @Test
  void plainFormat_andOtherWords_areUsed() {
    RecallOptions options =
        RecallOptions.passkey()
            .withTrials(1)
            .withFormat(QuestionFormat.PLAIN)
            .withWording(new Wording("Note: {key} belongs to {name}.", "Whose key? {name}'s:"));
    String prompt = prompts(300, options).getFirst();
    assertTrue(prompt.matches("(?s).*Note: [0-9]{5} belongs to .*'s:\n"), prompt);
    assertTrue(!prompt.contains("<|"), prompt);
    assertThrows(IllegalArgumentException.class, () -> new Wording("no place", "What?"));
  }

  @Test
  void needles_ofAllKinds_areFoundAtTheTrainedLength() {
    RecallOptions options = RecallOptions.needles(3).withTrials(12).withAskAll(true);
    RecallResult result = measure("none", 256, options);
    assertEquals(36, result.asked());
    assertEquals(12, result.trials());
    assertTrue(result.accuracy() >= 0.8, result.toString());
    List<String> prompts = prompts(256, options);
    for (String word : List.of("pass key of", "Where is the", "Where does", "the work of")) {
      assertTrue(prompts.stream().anyMatch(prompt -> prompt.contains(word)), word);
    }
    assertTrue(
        prompts.stream().allMatch(p -> model.tokenizer().encode(p, true, true).length <= 232));
  }

  @Test
  void grid_hasAPointForEachLengthAndDepth() {
    List<EvalPoint> points =
        Evaluation.run(
            Recall.grid(
                configuration("none"),
                prose,
                List.of(128, 256),
                List.of(0.0, 1.0),
                RecallOptions.needles(1).withTrials(2)),
            EvalLog.inMemory(),
            Cancellation.never(),
            new EvalListener() {
              @Override
              public void onProgress(long done, long total, EvalPoint soFar) {
                assertTrue(done <= total && total == 2 * 2 * (128 + 256), done + "/" + total);
              }

              @Override
              public void onPoint(EvalPoint point) {}
            });
    assertEquals(
        List.of("128@0.0", "128@1.0", "256@0.0", "256@1.0"),
        points.stream().map(p -> p.contextTokens() + "@" + p.depth().orElseThrow()).toList());
  }

  @Test
  void stretch_measuresBothForEachScalingAndLength() {
    List<Stretch> tasks =
        Stretch.tasks(
            model,
            ContextOptions.defaults().withThreads(1).withBatchThreads(1),
            List.of(ContextScaling.parse("none"), ContextScaling.parse("yarn")),
            List.of(256, 1024),
            prose,
            new Stretch.Options(
                Scoring.wholeWindow(), 8192, RecallOptions.passkey().withTrials(2)));
    List<EvalPoint> points = new ArrayList<>();
    for (Stretch task : tasks) {
      long[] last = new long[1];
      points.add(task.run(Cancellation.never(), (done, _) -> last[0] = done));
      assertEquals(task.tokens(), last[0]);
    }
    assertEquals(
        List.of("none 256", "yarn 256", "none 1024", "yarn 1024"),
        points.stream().map(p -> p.method() + " " + p.contextTokens()).toList());
    // FACTS, section 8: about 56 at the trained length, 236 unscaled and 56 with YaRN at 4 times.
    double[] expected = {56.4, 56.4, 236, 56};
    for (int i = 0; i < expected.length; i++) {
      double actual = points.get(i).perplexity().orElseThrow().perplexity();
      assertEquals(expected[i], actual, expected[i] * 0.15, points.get(i).toString());
      assertEquals(2, points.get(i).recall().orElseThrow().trials());
    }
  }

  @Test
  void cancellation_endsIt() {
    Cancellation cancellation = Cancellation.create();
    Recall task = Recall.of(configuration("none"), prose, 256, RecallOptions.passkey());
    assertThrows(
        OperationCancelledException.class,
        () -> task.run(cancellation, (_, _) -> cancellation.cancel()));
  }

  @Test
  void badNumbers_areRefused() {
    RecallOptions options = RecallOptions.passkey();
    assertThrows(IllegalArgumentException.class, () -> options.withTrials(0));
    assertThrows(IllegalArgumentException.class, () -> options.withDepth(1.5));
    assertThrows(IllegalArgumentException.class, () -> options.withFacts(31));
    assertThrows(IllegalArgumentException.class, () -> measure("none", 24, options));
    assertThrows(IllegalArgumentException.class, () -> measure("none", 40, options));
    assertThrows(IllegalArgumentException.class, () -> measure("none", 1 << 17, options));
  }
}
