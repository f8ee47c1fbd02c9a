package dev.gatun.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.Cancellation;
import dev.gatun.ContextOptions;
import dev.gatun.LlamaContext;
import dev.gatun.LlamaModel;
import dev.gatun.LlamaSession;
import dev.gatun.PeerTools;
import dev.gatun.TestModels;
import dev.gatun.error.OperationCancelledException;
import dev.gatun.gguf.SyntheticModel;
import dev.gatun.kv.KvCacheType;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PerplexityTest {
  @TempDir static Path folder;
  private static LlamaModel model;
  private static String text;
  private static int[] tokens;

  @BeforeAll
  static void load() throws Exception {
    model = LlamaModel.load(TestModels.tiny());
    text = Files.readString(TestModels.heldout());
    tokens = Perplexity.tokens(model, text);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static EvalConfiguration configuration(LlamaModel model, String scaling) {
    return new EvalConfiguration(
        model,
        ContextOptions.defaults().withThreads(1).withBatchThreads(1),
        ContextScaling.parse(scaling));
  }

  private static PerplexityResult measure(String scaling, PerplexityOptions options) {
    return Perplexity.of(configuration(model, scaling), tokens, options)
        .run()
        .perplexity()
        .orElseThrow();
  }

  /**
   * The figure after {@code chunks} windows in llama-perplexity's {@code
   * [1]63.5297,[2]75.7419,...}. The tool prints through a log thread and now and then loses the
   * end; then it is asked again.
   */
  private static double peer(Path file, int length, int chunks, String... more) throws Exception {
    Path tool = PeerTools.tool("llama-perplexity");
    List<String> arguments =
        new ArrayList<>(
            List.of("-m", file.toString(), "-f", TestModels.heldout().toString(), "-t", "1", "-c"));
    arguments.addAll(List.of(Integer.toString(length), "--chunks", Integer.toString(chunks)));
    arguments.addAll(List.of(more));
    String mark = "[" + chunks + "]";
    for (int attempt = 0; attempt < 5; attempt++) {
      String out = new String(PeerTools.run(tool, arguments), StandardCharsets.UTF_8);
      int at = out.indexOf(mark);
      int end = out.indexOf(',', at);
      if (at >= 0 && end >= 0) {
        return Double.parseDouble(out.substring(at + mark.length(), end));
      }
    }
    throw new IllegalStateException("llama-perplexity printed no " + mark + " in five runs");
  }

  private static void assertNear(double expected, double actual) {
    assertEquals(expected, actual, expected * 1e-3);
  }

  @Test
  void wholeText_atTheTrainedLength_isWhatTheModelsPageSays() {
    PerplexityResult result = measure("model", PerplexityOptions.of(256));
    assertNear(46.87, result.perplexity());
    assertEquals(274, result.windows());
    assertEquals(274 * 127, result.tokens());
    assertEquals(0.80468, result.standardError(), 2e-3);
  }

  @Test
  void equalsLlamaPerplexity_unscaledAndYarn() throws Exception {
    double unscaled = peer(TestModels.tiny(), 256, 40);
    PerplexityOptions options = PerplexityOptions.of(256).withWindows(40);
    assertNear(unscaled, measure("model", options).perplexity());
    assertNear(unscaled, measure("none", options).perplexity());

    String[] yarn = {
      "--rope-scaling",
      "yarn",
      "--rope-scale",
      "4",
      "--yarn-orig-ctx",
      "256",
      "--yarn-beta-fast",
      "7.3",
      "--yarn-beta-slow",
      "1"
    };
    assertNear(
        peer(TestModels.tiny(), 1024, 10, yarn),
        measure("yarn", PerplexityOptions.of(1024).withWindows(10)).perplexity());
    assertNear(
        peer(TestModels.tiny(), 1024, 5, "--rope-scaling", "none"),
        measure("none", PerplexityOptions.of(1024).withWindows(5)).perplexity());
  }

  @Test
  void equalsLlamaPerplexity_onAnotherArchitecture() throws Exception {
    Path file = folder.resolve("other.gguf");
    SyntheticModel.write(SyntheticModel.Shape.named("qwen2-tiny"), TestModels.tiny(), file, 42);
    // Random weights are chaotic: a rounding in one token is felt in the next, so many windows.
    double expected = peer(file, 300, 100);
    try (LlamaModel other = LlamaModel.load(file)) {
      Perplexity task =
          Perplexity.of(
              configuration(other, "model"),
              Perplexity.tokens(other, text),
              PerplexityOptions.of(300).withWindows(100));
      assertNear(expected, task.run().perplexity().orElseThrow().perplexity());
    }
  }

  @Test
  void equalsASlowCountByHand_inEveryScoring() {
    for (Scoring scoring :
        List.of(Scoring.secondHalf(), Scoring.wholeWindow(), Scoring.sliding(40))) {
      PerplexityOptions options =
          PerplexityOptions.of(100).withScoring(scoring).withWindows(3).withBins(4);
      WindowPlan plan = WindowPlan.of(tokens.length, options);
      double[] sums = new double[5];
      int[] counts = new int[5];
      try (LlamaContext context = configuration(model, "none").newContext(options.contextTokens());
          LlamaSession session = context.newSession()) {
        for (int i = 0; i < plan.count(); i++) {
          session.clear();
          int start = plan.start(i);
          session.append(model.tokenizer().bos().orElseThrow());
          for (int j = 0; j < 99; j++) {
            if (j > 0) {
              session.append(tokens[start + j]);
            }
            if (j >= plan.first()) {
              double loss = loss(session, tokens[start + j + 1]);
              sums[4] += loss;
              counts[4]++;
              sums[(j + 1) / 25] += loss;
              counts[(j + 1) / 25]++;
            }
          }
        }
      }
      PerplexityResult result = measure("none", options);
      assertEquals(counts[4], result.tokens());
      assertNear(Math.exp(sums[4] / counts[4]), result.perplexity());
      for (PerplexityResult.Bin bin : result.bins()) {
        assertEquals(25, bin.to() - bin.from());
        assertEquals(counts[bin.from() / 25], bin.tokens());
        assertNear(Math.exp(sums[bin.from() / 25] / counts[bin.from() / 25]), bin.perplexity());
      }
      assertEquals(
          result.tokens(), result.bins().stream().mapToLong(PerplexityResult.Bin::tokens).sum());
    }
  }

  private static double loss(LlamaSession session, int token) {
    float[] logits = session.logits().toArray(ValueLayout.JAVA_FLOAT);
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit);
    }
    return Math.log(sum) - logits[token];
  }

  @Test
  void divergence_isNothingAgainstItself_andGrowsWithTheDifference() {
    PerplexityOptions options = PerplexityOptions.of(256).withWindows(4);
    EvalConfiguration plain = configuration(model, "none");
    PerplexityResult.Divergence same = against(plain, plain, options);
    assertEquals(0, same.mean(), 1e-9);
    assertEquals(1, same.topAgreement());

    EvalConfiguration coarse =
        new EvalConfiguration(
            model,
            plain.options().withKeyType(KvCacheType.Q4_0).withValueType(KvCacheType.Q4_0),
            plain.scaling());
    PerplexityResult.Divergence near = against(coarse, plain, options);
    PerplexityResult.Divergence far = against(configuration(model, "linear:4"), plain, options);
    assertTrue(near.mean() > 1e-5 && near.mean() < 0.1, near.toString());
    assertTrue(far.mean() > 10 * near.mean(), far.toString());
    assertTrue(far.topAgreement() < near.topAgreement(), far + " " + near);
    assertTrue(near.maximum() >= near.mean(), near.toString());
    assertNear(measure("none", options).perplexity(), near.referencePerplexity());
  }

  @Test
  void divergence_equalsASlowCountByHand() {
    PerplexityOptions options =
        PerplexityOptions.of(16).withWindows(1).withScoring(Scoring.wholeWindow());
    double sum = 0;
    double largest = 0;
    try (LlamaContext first = configuration(model, "linear:2").newContext(16);
        LlamaContext second = configuration(model, "none").newContext(16);
        LlamaSession q = first.newSession();
        LlamaSession p = second.newSession()) {
      for (int j = 0; j < 15; j++) {
        int token = j == 0 ? model.tokenizer().bos().orElseThrow() : tokens[j];
        q.append(token);
        p.append(token);
        if (j >= 1) {
          double divergence = 0;
          for (int i = 0; i < model.vocabularySize(); i++) {
            double logP = -loss(p, i);
            divergence += Math.exp(logP) * (logP + loss(q, i));
          }
          sum += divergence;
          largest = Math.max(largest, divergence);
        }
      }
    }
    PerplexityResult.Divergence actual =
        against(configuration(model, "linear:2"), configuration(model, "none"), options);
    assertEquals(sum / 14, actual.mean(), 0.01 * sum / 14);
    assertEquals(largest, actual.maximum(), 0.02 * largest);
  }

  private static PerplexityResult.Divergence against(
      EvalConfiguration measured, EvalConfiguration reference, PerplexityOptions options) {
    return Perplexity.of(measured, tokens, options)
        .against(reference)
        .run()
        .perplexity()
        .orElseThrow()
        .divergence()
        .orElseThrow();
  }

  @Test
  void progress_runsToTheEnd_andCancellationStopsIt() {
    Perplexity task =
        Perplexity.of(
            configuration(model, "none"), tokens, PerplexityOptions.of(1024).withWindows(3));
    List<Long> done = new ArrayList<>();
    List<EvalPoint> soFar = new ArrayList<>();
    EvalPoint point =
        task.run(
            Cancellation.never(),
            (tokens, state) -> {
              done.add(tokens);
              soFar.add(state);
            });
    assertEquals(done.stream().sorted().distinct().toList(), done);
    assertEquals(task.tokens(), done.getLast());
    assertTrue(soFar.getFirst().perplexity().isEmpty());
    assertEquals(point.perplexity(), soFar.getLast().perplexity());

    Cancellation cancellation = Cancellation.create();
    assertThrows(
        OperationCancelledException.class,
        () -> task.run(cancellation, (_, _) -> cancellation.cancel()));
  }

  @Test
  void identity_tellsSettingsApart_butNotThreads() {
    PerplexityOptions options = PerplexityOptions.of(256);
    EvalConfiguration plain = configuration(model, "none");
    String identity = Perplexity.of(plain, tokens, options).identity();
    EvalConfiguration threads =
        new EvalConfiguration(model, plain.options().withThreads(7), plain.scaling());
    assertEquals(identity, Perplexity.of(threads, tokens, options).identity());
    List<String> others =
        List.of(
            Perplexity.of(configuration(model, "yarn"), tokens, options).identity(),
            Perplexity.of(plain, tokens, options.withBins(2)).identity(),
            Perplexity.of(plain, tokens, options).against(plain).identity(),
            Perplexity.of(plain, Arrays.copyOf(tokens, 5000), options).identity(),
            Perplexity.of(plain, tokens, PerplexityOptions.of(512)).identity());
    assertEquals(5, others.stream().distinct().count());
    assertTrue(!others.contains(identity));
  }

  @Test
  void scalings_areReadFromText() {
    assertEquals("yarn:8", ContextScaling.parse("yarn:8").label());
    assertEquals(dev.gatun.rope.RopeScaling.yarn(8), ContextScaling.parse("yarn:8").at(model, 512));
    assertEquals(dev.gatun.rope.RopeScaling.yarn(2), ContextScaling.parse("yarn").at(model, 512));
    assertEquals(
        dev.gatun.rope.RopeScaling.modelDefault(), ContextScaling.parse("linear").at(model, 100));
    for (String wrong : List.of("", "ntq", "yarn:", "yarn:0.5", "yarn:x", "none:2", "yarn:NaN")) {
      assertThrows(IllegalArgumentException.class, () -> ContextScaling.parse(wrong), wrong);
    }
  }
}
